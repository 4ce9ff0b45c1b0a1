package knowledge

import (
	_ "embed"
	"iter"
	"strconv"
	"strings"
)

// neighboursText lists, for each stem of general and technical English, the
// stems that a language model takes to mean much the same, nearest first, each
// with its cosine in hundredths. Its lines are sorted. It was made from
// all-MiniLM-L6-v2 (Apache-2.0) by bench/retrieval/minilm.py.
//
//go:embed neighbours.txt
var neighboursText string

// neighbours are the stems that are near to one in meaning, and their cosines.
func neighbours(stem string) iter.Seq2[string, float64] {
	return func(yield func(string, float64) bool) {
		for item := range strings.FieldsSeq(lineOf(neighboursText, stem)) {
			n := len(item) - 2
			if hundredths, err := strconv.Atoi(item[n:]); err != nil || !yield(item[:n], float64(hundredths)/100) {
				return
			}
		}
	}
}

// lineOf returns what follows key and a blank in the line of a sorted text that
// begins with them; "" = there is none.
func lineOf(text, key string) string {
	for len(text) > 0 {
		middle := len(text) / 2
		begin := strings.LastIndexByte(text[:middle], '\n') + 1
		end := len(text)
		if n := strings.IndexByte(text[middle:], '\n'); n >= 0 {
			end = middle + n + 1
		}
		first, rest, _ := strings.Cut(strings.TrimSuffix(text[begin:end], "\n"), " ")
		switch strings.Compare(key, first) {
		case 0:
			return rest
		case -1:
			text = text[:begin]
		default:
			text = text[end:]
		}
	}
	return ""
}
