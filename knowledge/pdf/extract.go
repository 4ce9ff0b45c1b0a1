package pdf

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/klippa-app/go-pdfium"
	"github.com/klippa-app/go-pdfium/references"
	"github.com/klippa-app/go-pdfium/requests"
	"github.com/klippa-app/go-pdfium/webassembly"
	"github.com/tetratelabs/wazero"

	"github.com/strandsgo/strands/knowledge"
)

// document is what is taken out of a PDF.
type document struct {
	title   string
	pages   []page
	outline []bookmark
	cut     bool // there were more bookmarks than are followed
}

type page struct {
	label  string // the printed number, when the document says
	height float64
	lines  []line
	jumps  []jump
	failed string // why its text could not be read
}

// jump is a link to another place of the document; heights are points from the
// page's top.
type jump struct {
	top    float64
	page   int
	target float64
}

// line is one line of text; positions are points from the page's top.
type line struct {
	text string
	top  float64
	left float64
	size float64 // of the font
	page int
	fold string // letters and digits of text, folded, to be compared with titles
	bare string // likewise, without a section number before it

	mono    bool    // all of it in a font of fixed pitch
	bold    bool    // all of it in a bold font
	advance float64 // width of a character, when mono
}

type bookmark struct {
	title string
	level int     // 0 = outermost
	page  int     // -1 = it does not say
	y     float64 // points from the page's top
}

const (
	reopenEvery = 100 // pages; the module keeps what it has read of a document
	maxPages    = 100_000
)

// engine is PDFium in a WebAssembly module: it has neither the file system nor
// the network.
type engine struct{ pool pdfium.Pool }

func newEngine(workers int, memory int64) (*engine, error) {
	cfg := wazero.NewRuntimeConfig().WithMemoryLimitPages(uint32(memory >> 16))
	if dir, err := knowledge.CacheDir(); err == nil { // compiling the module takes more than a second
		if cache, err := wazero.NewCompilationCacheWithDir(filepath.Join(dir, "wazero")); err == nil {
			cfg = cfg.WithCompilationCache(cache)
		}
	}
	pool, err := webassembly.Init(webassembly.Config{
		MaxTotal: workers, MaxIdle: workers,
		FSConfig: wazero.NewFSConfig(), // by default it would be the whole machine's
		Stdout:   io.Discard, Stderr: io.Discard, RuntimeConfig: cfg,
	})
	if err != nil {
		return nil, fmt.Errorf("starting PDFium: %w", err)
	}
	return &engine{pool}, nil
}

func (e *engine) close() error { return e.pool.Close() }

// opened is the document in one instance.
type opened struct {
	p        pdfium.Pdfium
	doc      references.FPDF_DOCUMENT
	path     string
	password string
	file     *os.File
	faces    map[string]face // by name of the font
	heights  map[int]float64 // of pages
}

func (e *engine) open(ctx context.Context, path, password string) (*opened, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute) // for the pool, which waits for an instance
	defer cancel()
	p, err := e.pool.GetInstanceWithContext(ctx)
	if err != nil {
		return nil, fmt.Errorf("starting PDFium: %w", err)
	}
	o := &opened{p: p, path: path, password: password, faces: map[string]face{}, heights: map[int]float64{}}
	if err := o.load(); err != nil {
		p.Close()
		return nil, err
	}
	return o, nil
}

func (o *opened) load() error {
	f, err := os.Open(o.path)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		f.Close()
		return &Error{File: o.path, Reason: "it is no regular file", Err: err}
	}
	req := &requests.FPDF_LoadCustomDocument{Reader: f, Size: info.Size()}
	if o.password != "" {
		req.Password = &o.password
	}
	res, err := o.p.FPDF_LoadCustomDocument(req)
	if err != nil {
		f.Close()
		return openError(o.path, o.password, err)
	}
	o.doc, o.file = res.Document, f
	return nil
}

// openError translates PDFium's codes.
func openError(path, password string, err error) error {
	reason := "it cannot be opened"
	switch text := err.Error(); {
	case strings.Contains(text, "password") && password == "":
		reason = "it is encrypted; give its password"
	case strings.Contains(text, "password"):
		reason = "the password is wrong"
	case strings.Contains(text, "format"):
		reason = "it is no PDF, or damaged"
	case strings.Contains(text, "security"):
		reason = "its kind of encryption is not supported"
	}
	return &Error{File: path, Reason: reason, Err: err}
}

func (o *opened) unload() {
	_, _ = o.p.FPDF_CloseDocument(&requests.FPDF_CloseDocument{Document: o.doc}) // its memory goes with the instance at the latest
	o.file.Close()
}

func (o *opened) close() {
	o.unload()
	_ = o.p.Close()
}

// extract reads the whole document with several instances. What it has read
// goes to the folder spool too, and what is there need not be read again.
func extract(ctx context.Context, e *engine, path, spool string, opt Options) (*document, error) {
	first, err := e.open(ctx, path, opt.Password)
	if err != nil {
		return nil, err
	}
	count, err := first.p.FPDF_GetPageCount(&requests.FPDF_GetPageCount{Document: first.doc})
	if err != nil || count.PageCount == 0 || count.PageCount > maxPages {
		first.close()
		return nil, &Error{File: path, Reason: "it has no pages, or too many", Err: err}
	}
	d := &document{pages: make([]page, count.PageCount)}
	d.outline, d.cut = first.outline(ctx)
	if meta, err := first.p.FPDF_GetMetaText(&requests.FPDF_GetMetaText{Document: first.doc, Tag: "Title"}); err == nil {
		d.title = strings.TrimSpace(meta.Value)
	}
	r := &reading{d: d, spool: newSpool(spool, d), tell: opt.Progress}
	errs := make([]error, min(opt.Workers, (len(d.pages)+chunkPages-1)/chunkPages)) // an instance without a chunk would open the document for nothing
	var wg sync.WaitGroup
	for w := range errs {
		wg.Go(func() {
			o := first
			if w > 0 {
				if o, errs[w] = e.open(ctx, path, opt.Password); errs[w] != nil {
					return
				}
			}
			defer o.close()
			errs[w] = o.readPages(ctx, r)
		})
	}
	wg.Wait()
	return d, errors.Join(errs...)
}

// reading is the work that instances share.
type reading struct {
	d     *document
	spool *spool
	next  atomic.Int64 // chunk

	telling sync.Mutex
	done    int
	tell    func(done, total int)
}

func (r *reading) finished(pages int) {
	r.telling.Lock()
	defer r.telling.Unlock()
	r.done += pages
	r.tell(r.done, len(r.d.pages))
}

// readPages reads chunk after chunk, until there is none left.
func (o *opened) readPages(ctx context.Context, r *reading) error {
	for read := 0; ; {
		from := (int(r.next.Add(1)) - 1) * chunkPages
		if from >= len(r.d.pages) {
			return nil
		}
		pages := r.d.pages[from:min(from+chunkPages, len(r.d.pages))]
		if r.spool.load(from, pages) {
			r.finished(len(pages))
			continue
		}
		for i := range pages {
			if err := ctx.Err(); err != nil {
				return err
			}
			if read++; read%reopenEvery == 0 {
				o.unload()
				if err := o.load(); err != nil {
					return err
				}
			}
			pages[i] = o.page(from + i)
			r.finished(1)
		}
		r.spool.save(from, pages)
	}
}

// page reads the lines of a page. A page that cannot be read says why; it does
// not end the document.
func (o *opened) page(i int) page {
	var pg page
	if l, err := o.p.FPDF_GetPageLabel(&requests.FPDF_GetPageLabel{Document: o.doc, Page: i}); err == nil {
		pg.label = l.Label
	}
	loaded, err := o.p.FPDF_LoadPage(&requests.FPDF_LoadPage{Document: o.doc, Index: i})
	if err != nil {
		pg.failed = err.Error()
		return pg
	}
	defer o.p.FPDF_ClosePage(&requests.FPDF_ClosePage{Page: loaded.Page})
	pg.height = o.height(i)
	pg.jumps = o.jumps(loaded.Page, pg.height)
	text, err := o.p.FPDFText_LoadPage(&requests.FPDFText_LoadPage{Page: requests.Page{ByReference: &loaded.Page}})
	if err != nil {
		pg.failed = err.Error()
		return pg
	}
	defer o.p.FPDFText_ClosePage(&requests.FPDFText_ClosePage{TextPage: text.TextPage})
	count, err := o.p.FPDFText_CountChars(&requests.FPDFText_CountChars{TextPage: text.TextPage})
	if err != nil || count.Count <= 0 {
		return pg
	}
	all, err := o.p.FPDFText_GetText(&requests.FPDFText_GetText{TextPage: text.TextPage, Count: count.Count})
	if err != nil {
		pg.failed = err.Error()
		return pg
	}
	pg.lines = o.lines(text.TextPage, all.Text, i, pg.height)
	return pg
}

// lines splits the text of a page and finds where each line stands, by its
// first character.
func (o *opened) lines(tp references.FPDF_TEXTPAGE, text string, pageNo int, height float64) []line {
	var lines []line
	at := 0 // in UTF-16 units, as PDFium counts
	for raw := range strings.SplitSeq(strings.TrimRight(text, "\x00"), "\n") {
		units, first, last := 0, -1, -1
		for _, r := range raw {
			if r > ' ' {
				if last = units; first < 0 {
					first = units
				}
			}
			units++
			if r > 0xffff {
				units++
			}
		}
		if first >= 0 {
			l := line{text: strings.TrimRight(raw, "\r"), page: pageNo, top: height / 2}
			o.locate(tp, at+first, at+last, height, &l)
			lines = append(lines, l)
		}
		at += units + 1
	}
	return lines
}

// locate fills what the first and the last character of a line tell of it.
func (o *opened) locate(tp references.FPDF_TEXTPAGE, first, last int, height float64, l *line) {
	if c, err := o.p.FPDFText_GetCharIndexFromTextIndex(&requests.FPDFText_GetCharIndexFromTextIndex{TextPage: tp, NTextIndex: first}); err == nil && c.CharIndex >= 0 {
		first, last = c.CharIndex, last+c.CharIndex-first
	}
	if box, err := o.p.FPDFText_GetCharBox(&requests.FPDFText_GetCharBox{TextPage: tp, Index: first}); err == nil {
		l.top, l.left = height-box.Top, box.Left
	}
	if size, err := o.p.FPDFText_GetFontSize(&requests.FPDFText_GetFontSize{TextPage: tp, Index: first}); err == nil {
		l.size = size.FontSize
	}
	o.style(tp, first, last, l)
}
