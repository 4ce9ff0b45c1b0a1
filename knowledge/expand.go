package knowledge

import (
	_ "embed"
	"slices"
	"strings"
	"sync"
)

// A question is asked in other words than those of a manual. Each of its terms
// is looked for together with others that may mean the same, which count less:
// synonyms, the other spelling of British and American English, and adjacent
// words written as one.

//go:embed thesaurus.txt
var thesaurusText string

// variant is a term that counts as part of another.
type variant struct {
	term   string
	weight float64
}

// concern is what a question asks for at one place: the term itself, first,
// and what may stand for it.
type concern struct {
	variants []variant
	weight   float64
}

// The weights were chosen on the half in view of bench/retrieval's hundred
// questions, those of neighbours on its questions for development.
const (
	synonymWeight  = .2 // .1 loses recall, .3 precision
	spellingWeight = 1  // the same word
	compoundWeight = .6
	weakWeight     = .3 // of words like "every"; .15 to .5 do as well

	neighbourWeight = .15 // times the cosine, which is .45 at least; .1 to .2 do as well
)

// synonyms maps a stem to the stems that share a line of the thesaurus with it.
var synonyms = sync.OnceValue(func() map[string][]string {
	all := map[string][]string{}
	for line := range strings.Lines(thesaurusText) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		var group []string
		terms(line, func(t string) { group = append(group, t) })
		for _, t := range group {
			for _, other := range group {
				if other != t && !slices.Contains(all[t], other) {
					all[t] = append(all[t], other)
				}
			}
		}
	}
	return all
})

// weakWords are in questions more than they say anything: verbs and adjectives
// that go with any noun among them.
var weakWords = stemSet(`after again all also always another back because before below best between big bit both bring come each
	either else ever every few first further go good great however instead just keep later least less let like little long many
	may might more most much must never new next now often one only other out over own per piece put rather same several since
	small something still take thing through together too two under until up use using very via way well whatever whether while whole whose within without`)

// measures are what "how long" and the like ask for.
var measures = map[string]string{
	"long": "time duration", "many": "number count", "often": "frequency count", "much": "amount", "big": "size", "large": "size",
	"far": "distance", "fast": "speed time", "old": "age date", "deep": "depth", "high": "height", "wide": "width",
}

// spellings are endings that British and American English write differently.
var spellings = [][2]string{
	{"isation", "ization"}, {"isations", "izations"}, {"ise", "ize"}, {"ised", "ized"}, {"ises", "izes"}, {"ising", "izing"},
	{"yse", "yze"}, {"ysed", "yzed"}, {"ysing", "yzing"}, {"our", "or"}, {"ours", "ors"}, {"oured", "ored"}, {"ouring", "oring"},
	{"tre", "ter"}, {"tres", "ters"}, {"logue", "log"}, {"logues", "logs"}, {"lled", "led"}, {"lling", "ling"},
	{"grey", "gray"}, {"defence", "defense"}, {"licence", "license"},
}

// respelled returns the stems of the other spelling of a word.
func respelled(raw string) []string {
	var stems []string
	for _, s := range spellings {
		for i := range s {
			if root, ok := strings.CutSuffix(raw, s[i]); ok && (len(root) > 2 || root == "") {
				word(root+s[1-i], func(t string) { stems = append(stems, t) })
			}
		}
	}
	return stems
}

// concerns takes a question apart. Variants that are not in the index are left
// out.
func (x *bm25f) concerns(query string) []concern {
	var all []concern
	known := func(t string) bool { return x.postings[t].docs > 0 }
	content := queryTerms(query)
	seen := map[string]bool{}
	before := ""
	for raw := range strings.FieldsFuncSeq(query, func(r rune) bool { return !isTermRune(r) }) {
		lower := strings.ToLower(raw)
		token(raw, func(t string) {
			if !seen[t] && slices.Contains(content, t) {
				seen[t] = true
				all = append(all, single(t, lower, known))
			}
		})
		var c concern
		switch {
		case before == "how":
			c = measure(lower, known)
		case before != "" && !stopWords[before]:
			c = compound(before, lower, known)
		}
		if len(c.variants) > 0 {
			all = append(all, c)
		}
		before = lower
	}
	return all
}

// single is what the term t of a word stands for.
func single(t, lower string, known func(string) bool) concern {
	c := concern{variants: []variant{{t, 1}}, weight: 1}
	if weakWords[t] {
		c.weight = weakWeight
	}
	for _, v := range respelled(lower) {
		c.add(v, spellingWeight, known)
	}
	for _, v := range slices.Clone(c.variants) {
		for _, s := range synonyms()[v.term] {
			c.add(s, synonymWeight, known)
		}
	}
	if weakWords[t] {
		return c
	}
	for near, cosine := range neighbours(t) {
		if !stopWords[near] && !weakWords[near] {
			c.add(near, neighbourWeight*cosine, known)
		}
	}
	return c
}

// measure is what "how" before a word asks for.
func measure(lower string, known func(string) bool) concern {
	c := concern{weight: 1}
	terms(measures[lower], func(t string) { c.add(t, 1, known) })
	return c
}

func (c *concern) add(term string, weight float64, known func(string) bool) {
	if known(term) && !slices.ContainsFunc(c.variants, func(v variant) bool { return v.term == term }) {
		c.variants = append(c.variants, variant{term, weight})
	}
}

// compound is two words as one: "data frame" as data.frame, "log scale" as
// logscale.
func compound(a, b string, known func(string) bool) concern {
	c := concern{weight: compoundWeight}
	for _, first := range append([]string{a}, synonyms()[a]...) {
		for _, sep := range []string{".", "_", "-"} {
			c.add(first+sep+b, 1, known)
		}
		word(first+b, func(t string) { c.add(t, 1, known) })
	}
	return c
}
