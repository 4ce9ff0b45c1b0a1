package pdf_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/md5"
	"crypto/rc4"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// paper is a PDF document to be written.
type paper struct {
	title    string
	sheets   []sheet
	outline  []mark
	labels   string                       // /Nums of the page labels
	password string                       // to open it with; encrypts by RC4 with 40 bits
	aes      bool                         // encrypts by AES with 256 bits instead
	after    func(objects map[int][]byte) // changes objects before they are written

	objects map[int][]byte
	marks   []int // objects of the bookmarks, as they are met from top to bottom
}

// sheet is a page of 600 by 800 points.
type sheet struct {
	texts []text
	links []link
	image bool
}

// text is one line; y from the bottom.
type text struct {
	x, y, size float64
	font       string // "" = Helvetica, "mono" = Courier
	s          string
}

type link struct {
	x, y, w, h float64
	dest       string
}

// mark is a bookmark. Dest is as in the file, with P0 for the first page; "" =
// none.
type mark struct {
	title, dest string
	kids        []mark
}

func lines(top float64, all ...string) sheet {
	var s sheet
	for i, l := range all {
		s.texts = append(s.texts, text{x: 72, y: top - 14*float64(i), size: 10, s: l})
	}
	return s
}

func (p *paper) add(format string, args ...any) int {
	if p.objects == nil {
		p.objects = map[int][]byte{}
	}
	n := len(p.objects) + 1
	p.objects[n] = fmt.Appendf(nil, format, args...)
	return n
}

func quote(s string) string {
	for _, r := range s {
		if r > 126 { // UTF-16, as PDF wants it
			b := []byte{0xfe, 0xff}
			for _, u := range s {
				b = binary.BigEndian.AppendUint16(b, uint16(u))
			}
			return fmt.Sprintf("<%x>", b)
		}
	}
	return "(" + strings.NewReplacer(`\`, `\\`, "(", `\(`, ")", `\)`).Replace(s) + ")"
}

// bytes writes the document.
func (p *paper) bytes() []byte {
	catalog, pages := p.add(""), p.add("")
	regular := p.add("<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>")
	mono := p.add("<< /Type /Font /Subtype /Type1 /BaseFont /Courier >>")
	var leaves []string
	for range p.sheets {
		leaves = append(leaves, fmt.Sprintf("%d 0 R", p.add("")))
	}
	for i, s := range p.sheets {
		var n int
		fmt.Sscan(leaves[i], &n)
		content := p.stream(s.content())
		annots := ""
		for _, l := range s.links {
			annots += fmt.Sprintf("%d 0 R ", p.add("<< /Type /Annot /Subtype /Link /Rect [%g %g %g %g] /Dest %s >>", l.x, l.y, l.x+l.w, l.y+l.h, p.aim(l.dest, leaves)))
		}
		p.objects[n] = fmt.Appendf(nil, "<< /Type /Page /Parent %d 0 R /MediaBox [0 0 600 800] /Contents %d 0 R /Annots [%s] /Resources << /Font << /F1 %d 0 R /F2 %d 0 R >> >> >>",
			pages, content, annots, regular, mono)
	}
	p.objects[pages] = fmt.Appendf(nil, "<< /Type /Pages /Count %d /Kids [%s] >>", len(leaves), strings.Join(leaves, " "))
	more := ""
	if len(p.outline) > 0 {
		root := p.add("")
		first, last := p.list(root, p.outline, leaves)
		p.objects[root] = fmt.Appendf(nil, "<< /Type /Outlines /First %d 0 R /Last %d 0 R >>", first, last)
		more = fmt.Sprintf(" /Outlines %d 0 R", root)
	}
	if p.labels != "" {
		more += " /PageLabels << /Nums [" + p.labels + "] >>"
	}
	p.objects[catalog] = fmt.Appendf(nil, "<< /Type /Catalog /Pages %d 0 R%s >>", pages, more)
	info := ""
	if p.title != "" {
		info = fmt.Sprintf(" /Info %d 0 R", p.add("<< /Title %s >>", quote(p.title)))
	}
	if p.after != nil {
		p.after(p.objects)
	}
	return p.assemble(info)
}

func (p *paper) stream(b []byte) int {
	n := len(p.objects) + 1
	if p.aes {
		b = p.seal(b)
	} else if p.password != "" {
		key := md5.Sum(append(append(p.key(), byte(n), byte(n>>8), byte(n>>16)), 0, 0))
		c, _ := rc4.NewCipher(key[:10])
		c.XORKeyStream(b, b)
	}
	return p.add("<< /Length %d >>\nstream\n%s\nendstream", len(b), b)
}

func (s *sheet) content() []byte {
	var b bytes.Buffer
	if s.image {
		b.WriteString("q 500 0 0 500 50 50 cm BI /W 1 /H 1 /CS /G /BPC 8 ID \x00 EI Q\n")
	}
	for _, t := range s.texts {
		font := "F1"
		if t.font == "mono" {
			font = "F2"
		}
		fmt.Fprintf(&b, "BT /%s %g Tf %g %g Td %s Tj ET\n", font, t.size, t.x, t.y, quote(t.s))
	}
	return b.Bytes()
}

func (p *paper) aim(dest string, leaves []string) string {
	for i := len(leaves) - 1; i >= 0; i-- {
		dest = strings.ReplaceAll(dest, fmt.Sprintf("P%d ", i), leaves[i]+" ")
	}
	return dest
}

// list writes bookmarks of one level and what is below them.
func (p *paper) list(parent int, marks []mark, leaves []string) (first, last int) {
	var ids []int
	for range marks {
		ids = append(ids, p.add(""))
	}
	for i, m := range marks {
		p.marks = append(p.marks, ids[i])
		o := fmt.Sprintf("<< /Title %s /Parent %d 0 R", quote(m.title), parent)
		if m.dest != "" {
			o += " /Dest " + p.aim(m.dest, leaves)
		}
		if i+1 < len(ids) {
			o += fmt.Sprintf(" /Next %d 0 R", ids[i+1])
		}
		if len(m.kids) > 0 {
			first, last := p.list(ids[i], m.kids, leaves)
			o += fmt.Sprintf(" /First %d 0 R /Last %d 0 R", first, last)
		}
		p.objects[ids[i]] = []byte(o + " >>")
	}
	return ids[0], ids[len(ids)-1]
}

const padding = "\x28\xBF\x4E\x5E\x4E\x75\x8A\x41\x64\x00\x4E\x56\xFF\xFA\x01\x08\x2E\x2E\x00\xB6\xD0\x68\x3E\x80\x2F\x0C\xA9\xFE\x64\x53\x69\x7A"

func rc4With(key []byte, data string) []byte {
	c, _ := rc4.NewCipher(key)
	out := make([]byte, len(data))
	c.XORKeyStream(out, []byte(data))
	return out
}

// owner and key are algorithms 3.3 and 3.2 of the PDF reference.
func (p *paper) owner() []byte {
	sum := md5.Sum([]byte("owner" + padding[:27]))
	return rc4With(sum[:5], (p.password + padding)[:32])
}

func (p *paper) key() []byte {
	b := append([]byte((p.password + padding)[:32]), p.owner()...)
	sum := md5.Sum(append(append(b, 0xfc, 0xff, 0xff, 0xff), "0123456789abcdef"...))
	return slices.Clone(sum[:5])
}

// fileKey encrypts streams when aes is set.
const fileKey = "0123456789abcdef0123456789abcdef"

func cbc(key, iv, data []byte) []byte {
	block, _ := aes.NewCipher(key)
	out := make([]byte, len(data))
	cipher.NewCBCEncrypter(block, iv).CryptBlocks(out, data)
	return out
}

func (p *paper) seal(b []byte) []byte {
	iv := []byte("a vector to start")[:16]
	pad := 16 - len(b)%16
	return append(iv, cbc([]byte(fileKey), iv, append(slices.Clone(b), bytes.Repeat([]byte{byte(pad)}, pad)...))...)
}

// aesDictionary is revision 5 of the standard security handler.
func (p *paper) aesDictionary() string {
	hash := func(parts ...string) []byte { sum := sha256.Sum256([]byte(strings.Join(parts, ""))); return sum[:] }
	zero := make([]byte, 16)
	u := string(hash(p.password, "validate")) + "validate" + "keysalt."
	ue := cbc(hash(p.password, "keysalt."), zero, []byte(fileKey))
	o := string(hash("owner", "Validate", u)) + "Validate" + "Keysalt."
	oe := cbc(hash("owner", "Keysalt.", u), zero, []byte(fileKey))
	perms := cbc([]byte(fileKey), zero, []byte("\xfc\xff\xff\xff\xff\xff\xff\xffTadbrand"))
	return fmt.Sprintf(" /Encrypt << /Filter /Standard /V 5 /R 5 /Length 256 /P -4 /O <%x> /U <%x> /OE <%x> /UE <%x> /Perms <%x>"+
		" /CF << /StdCF << /CFM /AESV3 /AuthEvent /DocOpen /Length 32 >> >> /StmF /StdCF /StrF /StdCF >>", o, u, oe, ue, perms)
}

func (p *paper) assemble(info string) []byte {
	if p.aes {
		info += p.aesDictionary()
	} else if p.password != "" {
		info += fmt.Sprintf(" /ID [(0123456789abcdef) (0123456789abcdef)] /Encrypt << /Filter /Standard /V 1 /R 2 /P -4 /O <%x> /U <%x> >>",
			p.owner(), rc4With(p.key(), padding))
	}
	b := bytes.NewBufferString("%PDF-1.4\n")
	offsets := make([]int, len(p.objects)+1)
	for n := 1; n <= len(p.objects); n++ {
		offsets[n] = b.Len()
		b.Write(append(append(strconv.AppendInt(b.AvailableBuffer(), int64(n), 10), " 0 obj\n"...), p.objects[n]...))
		b.WriteString("\nendobj\n")
	}
	at := b.Len()
	fmt.Fprintf(b, "xref\n0 %d\n0000000000 65535 f \n", len(offsets))
	for _, o := range offsets[1:] {
		b.Write(append(strconv.AppendInt(b.AvailableBuffer(), 1e10+int64(o), 10)[1:], " 00000 n \n"...)) // ten digits
	}
	fmt.Fprintf(b, "trailer\n<< /Size %d /Root 1 0 R%s >>\nstartxref\n%d\n%%%%EOF\n", len(offsets), info, at)
	return b.Bytes()
}

// file writes the document to a folder of the test.
func (p *paper) file(t *testing.T) string {
	t.Helper()
	return fileOf(t, p.bytes())
}

func fileOf(t *testing.T, data []byte) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "paper.pdf")
	if err := os.WriteFile(name, data, 0o644); err != nil {
		t.Fatal(err)
	}
	return name
}
