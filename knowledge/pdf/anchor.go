package pdf

import (
	"math"
	"regexp"
	"strings"
	"unicode"
)

const (
	above = 40 // points that a title may stand above the place its bookmark names
	below = 60 // and below
)

// finder looks for the lines that bookmarks mean.
type finder struct {
	d      *document
	lines  []line
	starts []int // the first line of each page, and the end
}

// anchor finds the line at which the section of the bookmark marks[i] begins:
// its title near the place it points to, else anywhere on that page, else the
// first line below that place; -1 when it points nowhere.
func (f *finder) anchor(marks []bookmark, i int) int {
	b := marks[i]
	if b.page < 0 || b.page >= len(f.d.pages) {
		return -1
	}
	want := letters(b.title)
	if at := f.misplaced(marks, i, want); at >= 0 {
		return at
	}
	from, to := f.starts[b.page], f.starts[b.page+1]
	near := func(l line) bool { return l.top > b.y-above && l.top < b.y+below }
	anywhere := func(line) bool { return true }
	for _, ok := range []func(line) bool{near, anywhere} {
		for _, exact := range []bool{true, false} {
			best, distance := -1, math.Inf(1)
			for i := from; i < to; i++ {
				if d := math.Abs(f.lines[i].top - b.y); d < distance && ok(f.lines[i]) && isTitle(f.lines[i:to], want, exact) {
					best, distance = i, d
				}
			}
			if best >= 0 {
				return best
			}
		}
	}
	for i := from; i < to; i++ {
		if f.lines[i].top >= b.y-2 {
			return i
		}
	}
	return to
}

// misplaced finds the title of a bookmark that points away from between its
// neighbours, as the second of two destinations with one name does; -1 when it
// does not, or the title is not there.
func (f *finder) misplaced(marks []bookmark, i int, want string) int {
	if i == 0 || i+1 >= len(marks) {
		return -1
	}
	lo, hi := marks[i-1].page, marks[i+1].page
	if lo < 0 || hi < lo || hi >= len(f.d.pages) || hi-lo > 50 || marks[i].page >= lo && marks[i].page <= hi {
		return -1
	}
	from, to := f.starts[lo], f.starts[hi+1]
	for _, exact := range []bool{true, false} {
		for n := from; n < to; n++ {
			if isTitle(f.lines[n:to], want, exact) {
				return n
			}
		}
	}
	return -1
}

// isTitle says whether lines begin with the title want, on up to three lines,
// after an optional number: exactly, or with more words behind it.
func isTitle(lines []line, want string, exact bool) bool {
	return startsWith(lines, want, exact || len(want) < minPrefix)
}

// minPrefix is the length of a title that is not likely to begin another line
// by chance.
const minPrefix = 3

func startsWith(lines []line, want string, exact bool) bool {
	if want == "" {
		return false
	}
	full, bare := "", ""
	for i := 0; i < min(3, len(lines)); i++ {
		full += lines[i].fold
		if i == 0 {
			bare = lines[i].bare
		} else {
			bare += lines[i].fold
		}
		if full == want || bare == want {
			return true
		}
	}
	if exact {
		return false
	}
	return strings.HasPrefix(full, want) && wordEnds(lines, want, false) ||
		strings.HasPrefix(bare, want) && wordEnds(lines, want, true)
}

// wordEnds says whether a word ends where the folded text of lines has been
// want.
func wordEnds(lines []line, want string, numbered bool) bool {
	text := lines[0].text
	if numbered {
		text = unnumbered(text)
	}
	for i := 1; i < min(3, len(lines)); i++ {
		text += " " + lines[i].text
	}
	n := 0
	for i, r := range text {
		if n >= len(want) {
			rest := letters(string(r))
			return rest == "" || letters(text[:i]) != want
		}
		n += len(letters(string(r)))
	}
	return true
}

var sectionNumber = regexp.MustCompile(`^(?:(?i:chapter|section|appendix|part)\s+)?[0-9A-Z]{1,3}(?:\.[0-9]+)*\.?\s+`)

func unnumbered(text string) string {
	return sectionNumber.ReplaceAllString(strings.TrimSpace(text), "")
}

var ligatures = strings.NewReplacer("ﬁ", "fi", "ﬂ", "fl", "ﬀ", "ff", "ﬃ", "ffi", "ﬄ", "ffl")

// letters folds a text to its letters and digits.
func letters(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return unicode.ToLower(r)
		}
		return -1
	}, ligatures.Replace(s))
}
