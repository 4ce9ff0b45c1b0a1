package pdf

import (
	"slices"
	"testing"
)

// TestSkippedLevels: a level left out makes siblings, not a chain.
func TestSkippedLevels(t *testing.T) {
	d := &document{pages: []page{{height: 800}}}
	for i, level := range []int{0, 2, 2, 1, 0} {
		d.outline = append(d.outline, bookmark{title: "T", level: level, page: 0, y: float64(100 * i)})
	}
	var got []int
	for _, s := range carve(d, 0).sections {
		got = append(got, s.parent)
	}
	for i, want := range []int{-1, 0, 0, 0, -1} {
		if got[i] != want {
			t.Fatalf("parents %v", got)
		}
	}
}

func TestIsTitle(t *testing.T) {
	for _, c := range []struct {
		title, exact, prefix string // whether the line is it
		text                 string
	}{
		{"Fitting models", "yes", "yes", "3.2 Fitting models"},
		{"abbreviate", "no", "yes", "abbreviate Abbreviate Strings"},
		{"format", "no", "no", "formatC Formatting Using C-style Formats"},
		{"efficient", "yes", "yes", "eﬃcient"},
		{"Other", "no", "no", "Another"},
		{"+", "no", "no", "+"},
	} {
		l := []line{{text: c.text, fold: letters(c.text), bare: letters(unnumbered(c.text))}}
		for exact, want := range map[bool]string{true: c.exact, false: c.prefix} {
			if got := isTitle(l, letters(c.title), exact); got != (want == "yes") {
				t.Errorf("%q in %q, exact %v: %v", c.title, c.text, exact, got)
			}
		}
	}
}

// TestEndHyphens: joined when the document knows the word, kept otherwise.
func TestEndHyphens(t *testing.T) {
	d := &document{pages: []page{{lines: []line{{text: "the information"}, {text: "infor\ufffemation user\ufffedefined"}}}}}
	if got := newCleaner(d).line(d.pages[0].lines[1].text); got != "information user-defined" {
		t.Errorf("%q", got)
	}
}

// TestFence: code that holds a fence gets a longer one.
func TestFence(t *testing.T) {
	d := &document{pages: []page{{lines: []line{{text: "````", mono: true}, {text: "x", mono: true, left: 20, advance: 5}}}}}
	if got := newCleaner(d).body("", d.pages[0].lines); got != "`````\n````\n    x\n`````\n" {
		t.Errorf("%q", got)
	}
}

// TestUnread: pages that fail one after the other for one reason are one
// problem, and there is an end to those of a document that is bad throughout.
func TestUnread(t *testing.T) {
	pages := func(reasons ...string) []page {
		var all []page
		for _, r := range reasons {
			all = append(all, page{failed: r})
		}
		return all
	}
	got := unread(pages("", "a\ntrace", "a\ntrace", "b", "", "b"))
	want := []string{"pages 2 to 3 could not be read: a", "page 4 could not be read: b", "page 6 could not be read: b"}
	if !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	if got := unread(pages("", "")); got == nil || len(got) > 0 {
		t.Errorf("of good pages: %#v", got)
	}
	got = unread(pages(slices.Repeat([]string{"a", "b", "b", ""}, 1000)...))
	if len(got) != 101 || got[100] != "2850 more pages could not be read" {
		t.Errorf("%d problems, the last: %q", len(got), got[len(got)-1])
	}
}
