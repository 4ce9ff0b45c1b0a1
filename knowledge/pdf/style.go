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
	if box, err := o.p.FPDFText_GetCharBox(&requests.FPDFText_GetCharBox{TextPage: tp, Index: last}); err == nil && box.Right > l.left {
		l.advance = (box.Right - l.left) / float64(last-first+1)
	}
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
