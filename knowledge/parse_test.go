package knowledge

import (
	"bytes"
	"strings"
	"testing"
)

func TestResolve(t *testing.T) {
	for _, c := range []struct{ from, target, want string }{
		{"a/b", "c.md", "a/c"}, {"a/b", "./c.md#x", "a/c"}, {"a/b", "../c.md", "c"}, {"a/b", "/x/y.md", "x/y"},
		{"a/b", "../../c.md", ""}, {"a/b", "/../c.md", "c"}, {"a/b", "sub/", "a/sub/"}, {"a/b", "sub/index.md", "a/sub/"},
		{"b", "index.md", ""}, {"a/b", "log.md", ""}, {"a/b", "https://x/y.md", ""}, {"a/b", "mailto:x", ""}, {"a/b", "pic.png", ""},
		{"a/b", "a%20b.md", "a/a b"}, {"a/b", "%zz.md", ""}, {"a/b", "#top", ""}, {"a/b", `..\c.md`, ""}, {"a/b", "..%2f..%2fc.md", ""},
		{"a/b", "/", ""}, {"b", "./", ""}, {"a/b", "./", "a/"}, {"a/b", "/x/", "x/"}, {"a/b", "...md", ""}, {"a/b", ".hidden.md", ""},
	} {
		if got := resolve(c.from, c.target); got != c.want {
			t.Errorf("resolve(%q, %q) = %q, want %q", c.from, c.target, got, c.want)
		}
	}
}

func TestScanBody(t *testing.T) {
	body := "# One\n[a](a.md) ![pic](p.md) [b](<b c.md>) [c](c.md \"title\")\n```go\n[no](no.md)\n# no\n```\n~~~\n[no](no2.md)\n~~~\n" +
		"## Subsections\n- [Ceta_phi() [1/2]](d.md)\n`[no](no3.md)` [self](self.md) [again](a.md)\n### Refs\n[e][ref] [F][]\n\n[ref]: e.md\n[f]: <f.md>\n"
	headings, links, lines := scanBody("self", []byte(body))
	var got []string
	for _, l := range links {
		s := l.to
		if l.child {
			s += "!"
		}
		got = append(got, s)
	}
	if s := strings.Join(got, ","); s != "a,b c,c,d!,e,f" {
		t.Errorf("links: %s", s)
	}
	if len(headings) != 3 || headings[1] != (heading{10, 2, "Subsections"}) || lines != 17 {
		t.Errorf("headings %v, %d lines", headings, lines)
	}
}

func TestTerms(t *testing.T) {
	for text, want := range map[string]string{
		"Running the regressions":   "run the regress",
		"don't; Ada's":              "dont ada",
		"--enable-64 foo_bar":       "--enable-64 enabl 64 foo_bar foo bar",
		"pd.DataFrame. End...":      "pd.dataframe pd datafram end",
		`\partial -- ... ---`:       `\partial partial`,
		"Größe 東京 naïve":            "größe 東京 naïve",
		strings.Repeat("x", 100):    "",
		"see (Smith, 2020) [ref-1]": "see smith 2020 ref-1 ref 1",
	} {
		var got []string
		terms(text, func(t string) { got = append(got, t) })
		if s := strings.Join(got, " "); s != want {
			t.Errorf("terms(%q) = %q, want %q", text, s, want)
		}
	}
}

func FuzzFrontmatter(f *testing.F) {
	for _, s := range []string{"---\ntype: T\n---\nbody", "---\n---\n", "---\na: &a [*a]\n---\n", "\ufeff---\r\nx: 1\r\n---", "----\n---", "---\ntitle: a --- b\n---\nx"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		block, body, err := splitFrontmatter(text)
		if err != nil {
			return
		}
		if body < len(block) || body > len(text) || len(block) > maxFrontmatter+len(text) {
			t.Fatalf("body at %d of %d, block of %d", body, len(text), len(block))
		}
		if !bytes.Contains(text[:body], block) {
			t.Fatal("the block is not part of the head")
		}
		if m, err := parseMeta(block); err == nil {
			m.apply(&Concept{})
		}
	})
}

func FuzzScanBody(f *testing.F) {
	for _, s := range []string{"[a](b.md)", "[[x]](y.md)", "[a][b]\n[b]: c.md", "```\n[a](b.md)", "[a](<../../../etc/passwd.md>)", "[(]((((((((.md)"} {
		f.Add("a/b", s)
	}
	f.Add("/", "[](<...md>)")
	f.Add("0", "[](</>)")
	f.Fuzz(func(t *testing.T, id, body string) {
		_, links, _ := scanBody(id, []byte(body))
		for _, l := range links {
			if strings.HasPrefix(l.to, "/") || strings.HasPrefix(l.to, "../") || l.to == ".." || strings.Contains(l.to, "/../") {
				t.Fatalf("a link out of the bundle: %q", l.to)
			}
		}
	})
}

func FuzzCache(f *testing.F) {
	s := &state{concepts: []*Concept{{ID: "a", Tags: []string{"t"}, headings: []heading{{1, 1, "h"}}, links: []link{{"b", "x", "h", 3, true}}}}, keywords: newBM25F()}
	s.keywords.lengths = make([][numFields]uint32, 1)
	s.keywords.postings["term"] = postings{docs: 1, data: []byte{0, 1, 1}}
	good := encodeCache(s)
	f.Add(good[len(cacheMagic):])
	f.Fuzz(func(t *testing.T, data []byte) {
		d := decoder{text: string(data)}
		for range d.count(20) {
			d.concept()
		}
	})
	if _, err := decodeCache(good); err != nil {
		f.Fatal(err)
	}
}
