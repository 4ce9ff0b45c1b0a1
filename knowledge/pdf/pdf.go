// Package pdf converts PDF documents to knowledge bundles: one concept for
// each bookmark, carved out by the position it points to, so that every word
// of the document is in exactly one concept. It reads with PDFium as a
// WebAssembly module: nothing to install, and no way from the document to the
// machine but processor time and memory.
package pdf

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"

	"github.com/strandsgo/strands/knowledge/internal/bundle"
)

// Version names the converter in what it makes. A change of its output
// changes it, so that bundles are made anew.
const Version = "strands-go/pdf-3"

// Licenses are the texts of the licences of PDFium and of what it is made of. A
// program that uses this package has them inside, and should be able to show
// them.
//
//go:embed THIRD_PARTY.txt
var Licenses string

// Options say how a document is converted. The zero value drops nothing.
type Options struct {
	Password  string
	MaxLevels int            // of bookmarks that become concepts; deeper text stays in the one above; 0 = all
	MaxChars  int            // of a concept's body, which is cut with a note; 0 = all
	MaxPages  int            // of a concept's body, likewise; 0 = all
	TypeNames map[int]string // by level from 1; else "Service", "Topic", "Section"
	Title     string         // of the document; "" = what it says, or the file's name
	Resource  string         // URI of the document in the concepts; "" = the file's name
	Workers   int            // instances of the module, which read pages side by side; 0 = GOMAXPROCS, at most 4
	Memory    int64          // bytes of the module that each of Workers uses; 0 = 192 MiB
	Force     bool           // convert although nothing has changed
	// Worker is the program, with arguments, of a process to convert in: one
	// that calls Worker. It is ended when it takes more than 1 GiB (on Linux) or
	// when no page is finished in 8 seconds of its processor time. nil = this process converts.
	Worker []string
	// Progress is told how many pages have been read, from several goroutines
	// but never two at once. nil = nobody is.
	Progress func(done, total int)
}

// Report says what a conversion did.
type Report struct {
	Concepts  int      `json:"concepts"`
	Pages     int      `json:"pages"`
	WordsIn   int      `json:"wordsIn"`             // in the document, running heads aside
	WordsKept int      `json:"wordsKept"`           // in the bodies of the concepts
	HeadWords int      `json:"headWords"`           // in running heads and page numbers, which are left out
	Unchanged bool     `json:"unchanged,omitempty"` // the bundle was there already
	Problems  []string `json:"problems"`
}

// Error says what is wrong with a document.
type Error struct {
	File   string
	Reason string
	Err    error // PDFium's; may be nil
}

// Error implements error.
func (e *Error) Error() string { return fmt.Sprintf("%s: %s", e.File, e.Reason) }

// Unwrap returns PDFium's error.
func (e *Error) Unwrap() error { return e.Err }

// Convert makes the bundle dst, a folder, of the document src. The folder
// appears when it is complete, or not at all; one that an earlier conversion
// made is replaced, any other is an error. When source, options and converter
// are those it was made with, nothing is done. A conversion that was cancelled
// or killed goes on where it was when it is asked for again.
//
// A hostile document can take much time and memory: convert what you do not
// trust with Options.Worker.
func Convert(ctx context.Context, src, dst string, o Options) (*Report, error) {
	if err := checkFile(src); err != nil {
		return nil, err
	}
	sum, err := hashFile(src)
	if err != nil {
		return nil, fmt.Errorf("converting: %w", err)
	}
	mark := &bundle.Manifest{Source: sum, Options: o.fingerprint(), Converter: Version}
	old, err := bundle.ReadManifest(dst)
	if err != nil {
		return nil, err
	}
	if !o.Force && old.Same(mark) {
		report := &Report{}
		if json.Unmarshal(old.Report, report) == nil {
			report.Unchanged = true
			return report, nil
		}
	}
	o = o.withDefaults(src)
	return bundle.Stage(dst, mark, interrupted, func(tmp string) (*Report, error) {
		if o.Worker != nil {
			return runWorker(ctx, src, tmp, o)
		}
		e, err := newEngine(o.Workers, o.Memory)
		if err != nil {
			return nil, err
		}
		return convert(ctx, e, src, tmp, o)
	})
}

// interrupted says whether what was read so far is worth keeping.
func interrupted(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// convert makes the files of the bundle in the folder dir, and closes e.
func convert(ctx context.Context, e *engine, src, dir string, o Options) (*Report, error) {
	d, err := extract(ctx, e, src, bundle.Spool(dir), o)
	if err = errors.Join(err, e.close()); err != nil {
		return nil, err
	}
	return write(dir, d, o)
}

// mostWorkers keeps a large machine from taking memory by its number of
// processors: four instances stay below what a worker is allowed.
const mostWorkers = 4

func (o Options) withDefaults(src string) Options {
	if o.Workers <= 0 {
		o.Workers = min(runtime.GOMAXPROCS(0), mostWorkers)
	}
	if o.Memory <= 0 {
		o.Memory = 192 << 20
	}
	if o.Progress == nil {
		o.Progress = func(int, int) {}
	}
	if o.Resource == "" {
		o.Resource = filepath.Base(src)
	}
	return o
}

// fingerprint is what of the options changes the bundle.
func (o Options) fingerprint() string {
	return fmt.Sprintf("%d %d %d %v %q %q", o.MaxLevels, o.MaxChars, o.MaxPages, o.TypeNames, o.Title, o.Resource)
}

// checkFile finds what needs no PDFium to be refused.
func checkFile(src string) error {
	info, err := os.Stat(src)
	switch {
	case err != nil:
		return fmt.Errorf("converting: %w", err)
	case !info.Mode().IsRegular():
		return &Error{File: src, Reason: "it is no regular file"}
	case info.Size() == 0:
		return &Error{File: src, Reason: "it is empty, and so no PDF"}
	}
	return nil
}

func hashFile(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
