package knowledge

import (
	"hash/maphash"
	"strings"
	"sync/atomic"
	"unicode"
	"unicode/utf8"

	"github.com/kljensen/snowball/english"
)

// terms calls yield with every search term of text. A word gives its stem.
// Something that looks like code ("foo_bar", "--enable-64", "pd.DataFrame",
// "\partial") gives itself, whole and in lower case, and its parts.
func terms(text string, yield func(term string)) {
	tokens(text, func(raw string) { token(raw, yield) })
}

// tokens calls yield with every run of text that may hold terms.
func tokens(text string, yield func(raw string)) {
	for len(text) > 0 {
		begin := strings.IndexFunc(text, isTermRune)
		if begin < 0 {
			return
		}
		text = text[begin:]
		end := strings.IndexFunc(text, func(r rune) bool { return !isTermRune(r) })
		if end < 0 {
			end = len(text)
		}
		yield(text[:end])
		text = text[end:]
	}
}

// beginnings are the first two letters of terms. A stem begins as its word does,
// so that most words of a text can be passed over without looking for theirs.
type beginnings [26][26]bool

func (b *beginnings) add(term string) {
	if len(term) > 1 && isLowerASCII(term[:2]) {
		b[term[0]-'a'][term[1]-'a'] = true
	}
}

// mayHold says whether a term that was added may be one of raw.
func (b *beginnings) mayHold(raw string) bool {
	if len(raw) < 2 || strings.ContainsAny(raw, `_-.\'`) {
		return true
	}
	x, y := raw[0]|0x20, raw[1]|0x20
	return x < 'a' || x > 'z' || y < 'a' || y > 'z' || b[x-'a'][y-'a']
}

func isTermRune(r rune) bool {
	if r < utf8.RuneSelf {
		return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '_' || r == '-' || r == '.' || r == '\\' || r == '\''
	}
	return unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r)
}

// maxTerm cuts what no one searches for: base64, rulers of a table.
const maxTerm = 64

func token(s string, yield func(string)) {
	if strings.ContainsFunc(s, isUnspaced) {
		unspaced(s, yield)
		return
	}
	s = strings.TrimRight(strings.TrimLeft(s, ".'"), ".-'\\")
	if s == "" || len(s) > maxTerm {
		return
	}
	if i := strings.IndexAny(s, `_-.\`); i < 0 {
		word(s, yield)
		return
	}
	whole := strings.ToLower(s)
	if strings.Trim(whole, `_-.\'`) == "" {
		return
	}
	yield(whole)
	for part := range strings.FieldsFuncSeq(s, func(r rune) bool { return strings.ContainsRune(`_-.\`, r) }) {
		word(part, yield)
	}
}

// isUnspaced says of a letter that its language has no spaces between words.
func isUnspaced(r rune) bool {
	return r >= 0x0e00 && unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar) || r == 'ー'
}

// unspaced yields each two letters of what has no spaces, in place of words.
func unspaced(s string, yield func(string)) {
	for s != "" {
		if n := strings.IndexFunc(s, isUnspaced); n != 0 {
			if n < 0 {
				n = len(s)
			}
			token(s[:n], yield)
			s = s[n:]
			continue
		}
		n := strings.IndexFunc(s, func(r rune) bool { return !isUnspaced(r) })
		if n < 0 {
			n = len(s)
		}
		run := s[:n]
		s = s[n:]
		_, first := utf8.DecodeRuneInString(run)
		if first == len(run) {
			yield(run)
		}
		for first < len(run) {
			_, second := utf8.DecodeRuneInString(run[first:])
			yield(run[:first+second])
			run, first = run[first:], second
		}
	}
}

// word yields the stem of one word; "don't" is "dont".
func word(s string, yield func(string)) {
	s = strings.ToLower(s)
	if strings.Contains(s, "'") {
		s = strings.TrimSuffix(s, "'s")
		s = strings.ReplaceAll(s, "'", "")
	}
	if s == "" {
		return
	}
	if len(s) > 2 && isLowerASCII(s) {
		s = stem(s)
	}
	yield(s)
}

// stemmed is a word that was seen, and its stem.
type stemmed struct{ word, stem string }

// stems remembers the words seen last: a text has few different ones, and
// finding a stem takes a microsecond.
var (
	stems    [1 << 14]atomic.Pointer[stemmed]
	stemSeed = maphash.MakeSeed()
)

func stem(word string) string {
	slot := &stems[maphash.String(stemSeed, word)%uint64(len(stems))]
	if known := slot.Load(); known != nil && known.word == word {
		return known.stem
	}
	word = strings.Clone(word) // it may be a piece of a whole body
	s := english.Stem(word, true)
	slot.Store(&stemmed{word, s})
	return s
}

func isLowerASCII(s string) bool {
	for i := range len(s) {
		if s[i] < 'a' || s[i] > 'z' {
			return false
		}
	}
	return true
}

// stopWords are left out of questions: they match everywhere.
var stopWords = stemSet(`a about am an and any are as at be been but by can could did do does for from had has have how i if in
	into is it its me my no not of on or our should so some such than that the their them then there these they this
	to us was we were what when where which who why will with would you your does get give there want need tell show`)

// stemSet is the set of the stems of words.
func stemSet(words string) map[string]bool {
	set := map[string]bool{}
	for w := range strings.FieldsSeq(words) {
		word(w, func(stem string) { set[stem] = true })
	}
	return set
}

// queryTerms returns the distinct terms of a question without stop words;
// with them when there is nothing else.
func queryTerms(query string) []string {
	var all, content []string
	seen := map[string]bool{}
	terms(query, func(t string) {
		if seen[t] {
			return
		}
		seen[t] = true
		all = append(all, t)
		if !stopWords[t] {
			content = append(content, t)
		}
	})
	if len(content) == 0 {
		return all
	}
	return content
}
