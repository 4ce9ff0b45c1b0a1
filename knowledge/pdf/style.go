package pdf

import (
	"regexp"
	"strings"

	"github.com/klippa-app/go-pdfium/references"
	"github.com/klippa-app/go-pdfium/requests"
)

// face is what the name and the flags of a font tell about it.
type face struct{ mono, bold bool }

const fixedPitch = 1 // of the flags of a font descriptor

// Names like Courier, DejaVuSansMono, CMTT10, SFTT1095, txtt, LucidaConsole;
// CMBX12, NimbusRomNo9L-Medi, Arial-Bold.
var (
	monoName = regexp.MustCompile(`(?i)mono|courier|consol|typewriter|fixed|menlo|inconsolata|(cm|sf|ec|tx|pcr|lm).{0,2}tt|^[a-z]{2,3}tt\d`)
	boldName = regexp.MustCompile(`(?i)bold|black|heavy|-medi\b|demi|cmbx|sfbx|ecbx|cmb\d|cmssbx`)
)

// style finds whether a line is code, or all bold, and where it ends, by its
// first and last visible characters.
func (o *opened) style(tp references.FPDF_TEXTPAGE, first, last int, l *line) {
	f := o.face(tp, first)
	if !f.mono && !f.bold {
		return
	}
	end := f
	if last > first {
		end = o.face(tp, last)
	}
	l.mono, l.bold = f.mono && end.mono, f.bold && end.bold
	for i := 1; i < samples && l.mono; i++ { // prose may begin and end with code
		if at := first + (last-first)*i/samples; at > first {
			l.mono = o.face(tp, at).mono || o.blank(tp, at)
		}
	}
	if !l.mono {
		return
	}
	o.columns(tp, first, last, l)
}

// columns finds the width of a character of code, and puts back the spaces that
// PDFium left out: of a gap of any width it makes one.
func (o *opened) columns(tp references.FPDF_TEXTPAGE, first, last int, l *line) {
	from, ok := o.origin(tp, first)
	to, ok2 := o.origin(tp, last)
	runes := []rune(strings.TrimLeftFunc(l.text, func(r rune) bool { return r <= ' ' }))
	if !ok || !ok2 || to <= from || len(runes) < last-first+1 {
		return // one character, or one that is two units
	}
	l.advance = (to - from) / float64(last-first)
	for i := range last - first { // of two that stand side by side, for there may be gaps
		if runes[i] > ' ' && runes[i+1] > ' ' {
			x, ok := o.origin(tp, first+i)
			y, ok2 := o.origin(tp, first+i+1)
			if ok && ok2 && y > x {
				l.advance = min(l.advance, y-x)
			}
			break
		}
	}
	if int((to-from)/l.advance+.5) <= last-first {
		return
	}
	var b strings.Builder
	width := 0
	for i, r := range runes {
		if i > 0 && i <= last-first && runes[i-1] <= ' ' && r > ' ' {
			if x, ok := o.origin(tp, first+i); ok {
				for column := min(int((x-from)/l.advance+.5), width+maxIndent); width < column; width++ {
					b.WriteByte(' ')
				}
			}
		}
		b.WriteRune(r)
		width++
	}
	l.text = b.String()
}

// origin is where a character stands, from the left.
func (o *opened) origin(tp references.FPDF_TEXTPAGE, index int) (x float64, ok bool) {
	at, err := o.p.FPDFText_GetCharOrigin(&requests.FPDFText_GetCharOrigin{TextPage: tp, Index: index})
	if err != nil {
		return 0, false
	}
	return at.X, true
}

const samples = 6

// blank says whether a character is a space, which PDFium may have put there
// itself: it has no font then.
func (o *opened) blank(tp references.FPDF_TEXTPAGE, index int) bool {
	c, err := o.p.FPDFText_GetUnicode(&requests.FPDFText_GetUnicode{TextPage: tp, Index: index})
	return err != nil || c.Unicode <= ' '
}

func (o *opened) face(tp references.FPDF_TEXTPAGE, index int) face {
	info, err := o.p.FPDFText_GetFontInfo(&requests.FPDFText_GetFontInfo{TextPage: tp, Index: index})
	if err != nil {
		return face{}
	}
	name := info.FontName
	if _, after, subset := strings.Cut(name, "+"); subset {
		name = after
	}
	f, known := o.faces[name]
	if !known {
		f = face{mono: monoName.MatchString(name), bold: boldName.MatchString(name)}
		o.faces[name] = f
	}
	f.mono = f.mono || info.Flags&fixedPitch != 0
	return f
}
