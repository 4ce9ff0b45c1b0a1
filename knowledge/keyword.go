package knowledge

// NewKeywordIndex returns the index of a Bundle whose Options name no other:
// BM25F over titles, descriptions, tags, headings and bodies, with English
// stems. Programs use it to rank collections of their own. Query before Build
// finds nothing.
func NewKeywordIndex() SearchIndex { return newBM25F() }
