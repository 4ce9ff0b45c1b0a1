package pydecl

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

type tokenKind int

const (
	opToken tokenKind = iota
	nameToken
	numberToken
	stringToken
)

type token struct {
	kind  tokenKind
	text  string
	line  int
	depth int  // brackets open around it; an opening bracket counts itself, a closing one does too
	space bool // something blank stands before it
}

// line is a logical line: the tokens up to a newline that is not inside
// brackets or a string and not escaped.
type line struct {
	indent int
	toks   []token
}

// lexer splits a source into tokens. It accepts every input: what is no token
// is skipped, what is not closed ends with the source.
type lexer struct {
	src   string
	pos   int
	line  int
	depth int // of brackets

	nesting int // of f-strings
}

func logicalLines(src string) []line {
	src = strings.TrimPrefix(src, "\ufeff")
	src = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(src)
	lx := &lexer{src: src, line: 1}
	var lines []line
	for lx.pos < len(lx.src) {
		indent := lx.indentation()
		if toks := lx.logicalLine(); len(toks) > 0 {
			lines = append(lines, line{indent, toks})
		}
	}
	return lines
}

// indentation counts columns as CPython does: a tab goes to the next multiple
// of eight, a form feed begins anew.
func (lx *lexer) indentation() int {
	col := 0
	for ; lx.pos < len(lx.src); lx.pos++ {
		switch lx.src[lx.pos] {
		case ' ':
			col++
		case '\t':
			col = col/8*8 + 8
		case '\f':
			col = 0
		default:
			return col
		}
	}
	return col
}

func (lx *lexer) logicalLine() []token {
	var toks []token
	space := false
	for lx.pos < len(lx.src) {
		switch c := lx.src[lx.pos]; {
		case c == '\n':
			lx.pos++
			lx.line++
			if lx.depth == 0 {
				return toks
			}
			space = true
		case c == ' ' || c == '\t' || c == '\f':
			lx.pos++
			space = true
		case c == '#':
			lx.skipComment()
		case c == '\\' && strings.HasPrefix(lx.src[lx.pos:], "\\\n"):
			lx.pos += 2
			lx.line++
			space = true
		default:
			t := lx.token()
			t.space = space
			toks = append(toks, t)
			space = false
		}
	}
	return toks
}

func (lx *lexer) skipComment() {
	if n := strings.IndexByte(lx.src[lx.pos:], '\n'); n >= 0 {
		lx.pos += n
	} else {
		lx.pos = len(lx.src)
	}
}

func (lx *lexer) token() token {
	start, startLine := lx.pos, lx.line
	c := lx.src[lx.pos]
	t := token{kind: opToken, line: startLine, depth: lx.depth}
	switch {
	case c == '"' || c == '\'':
		lx.stringBody("")
		t.kind = stringToken
	case isNameStart(lx.rune()):
		lx.skipName()
		prefix := lx.src[start:lx.pos]
		t.kind = nameToken
		if lx.atQuote() && isStringPrefix(prefix) {
			lx.stringBody(prefix)
			t.kind = stringToken
		}
	case isDigit(c) || c == '.' && lx.pos+1 < len(lx.src) && isDigit(lx.src[lx.pos+1]):
		lx.skipNumber()
		t.kind = numberToken
	default:
		lx.operator()
		t.depth = max(t.depth, lx.depth)
	}
	t.text = lx.src[start:lx.pos]
	return t
}

func (lx *lexer) rune() rune {
	r, _ := utf8.DecodeRuneInString(lx.src[lx.pos:])
	return r
}

func (lx *lexer) skipName() {
	for lx.pos < len(lx.src) {
		r, n := utf8.DecodeRuneInString(lx.src[lx.pos:])
		if !isNameStart(r) && !unicode.In(r, unicode.Nd, unicode.Mn, unicode.Mc, unicode.Pc) {
			return
		}
		lx.pos += n
	}
}

// skipNumber takes letters, digits, dots, and the sign of an exponent. That a
// number is well formed does not matter here.
func (lx *lexer) skipNumber() {
	hex := strings.HasPrefix(strings.ToLower(lx.src[lx.pos:min(lx.pos+2, len(lx.src))]), "0x")
	for lx.pos < len(lx.src) {
		c := lx.src[lx.pos]
		prev := byte('0')
		if lx.pos > 0 {
			prev = lx.src[lx.pos-1] | 0x20
		}
		switch {
		case isDigit(c) || c == '.' || c == '_' || 'a' <= c|0x20 && c|0x20 <= 'z':
		case (c == '+' || c == '-') && prev == 'e' && !hex:
		default:
			return
		}
		lx.pos++
	}
}

// The operators of more than one byte that matter where declarations are read:
// those that hold a ':' or '='.
var longOperators = []string{
	"**=", "//=", ">>=", "<<=", "...",
	":=", "->", "==", "!=", "<=", ">=", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=", "@=", "**", "//",
}

func (lx *lexer) operator() {
	rest := lx.src[lx.pos:]
	for _, op := range longOperators {
		if strings.HasPrefix(rest, op) {
			lx.pos += len(op)
			return
		}
	}
	switch rest[0] {
	case '(', '[', '{':
		lx.depth++
	case ')', ']', '}':
		lx.depth = max(lx.depth-1, 0)
	}
	_, n := utf8.DecodeRuneInString(rest)
	lx.pos += n
}

func (lx *lexer) atQuote() bool {
	return lx.pos < len(lx.src) && (lx.src[lx.pos] == '"' || lx.src[lx.pos] == '\'')
}

// stringBody reads a string from its opening quote on. A string in single
// quotes that is not closed ends with its line.
func (lx *lexer) stringBody(prefix string) {
	quote := lx.src[lx.pos : lx.pos+1]
	if strings.HasPrefix(lx.src[lx.pos:], quote+quote+quote) {
		quote = quote + quote + quote
	}
	lx.pos += len(quote)
	formatted := strings.ContainsAny(prefix, "fFtT")
	for lx.pos < len(lx.src) {
		switch rest := lx.src[lx.pos:]; {
		case strings.HasPrefix(rest, quote):
			lx.pos += len(quote)
			return
		case rest[0] == '\\' && len(rest) > 1:
			lx.escape(rest, formatted, strings.ContainsAny(prefix, "rR"))
		case rest[0] == '\n':
			if len(quote) == 1 {
				return
			}
			lx.line++
			lx.pos++
		case formatted && (strings.HasPrefix(rest, "{{") || strings.HasPrefix(rest, "}}")):
			lx.pos += 2
		case formatted && rest[0] == '{':
			lx.pos++
			lx.field(quote)
		default:
			lx.pos++
		}
	}
}

// escape skips a backslash and what it takes the meaning from: no brace of an
// f-string, except those of \N{…}.
func (lx *lexer) escape(rest string, formatted, raw bool) {
	switch {
	case rest[1] == '\n':
		lx.line++
		lx.pos += 2
	case formatted && (rest[1] == '{' || rest[1] == '}'):
		lx.pos++
	case formatted && !raw && strings.HasPrefix(rest, `\N{`):
		lx.pos += len(`\N{`)
	default:
		lx.pos += 2
	}
}

// maxNesting bounds the recursion into f-strings inside of f-strings. CPython's
// own limit is 150.
const maxNesting = 200

// field reads the {…} of an f-string from behind its opening brace: code, in
// which strings may use any quotes, then after a colon a format.
func (lx *lexer) field(quote string) {
	if lx.nesting == maxNesting {
		return
	}
	lx.nesting++
	defer func() { lx.nesting-- }()
	brackets := 0
	for lx.pos < len(lx.src) {
		switch c := lx.src[lx.pos]; {
		case c == '}' && brackets == 0:
			lx.pos++
			return
		case c == ':' && brackets == 0:
			lx.pos++
			lx.format(quote)
			return
		case c == '(' || c == '[' || c == '{':
			brackets++
		case c == ')' || c == ']' || c == '}':
			brackets = max(brackets-1, 0)
		case c == '#':
			lx.skipComment()
			continue
		case c == '\n':
			lx.line++
		case c == '"' || c == '\'' || isNameStart(lx.rune()):
			lx.token()
			continue
		}
		lx.pos++
	}
}

// format reads the format of a field, which is text with fields in it, up to
// the brace that closes both.
func (lx *lexer) format(quote string) {
	for lx.pos < len(lx.src) {
		c := lx.src[lx.pos]
		switch {
		case strings.HasPrefix(lx.src[lx.pos:], quote), c == '\n' && len(quote) == 1:
			return
		case c == '\n':
			lx.line++
		case c == '\\' && lx.pos+1 < len(lx.src) && lx.src[lx.pos+1] != '\n':
			lx.pos++
		}
		lx.pos++
		switch c {
		case '}':
			return
		case '{':
			lx.field(quote)
		}
	}
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func isNameStart(r rune) bool { return r == '_' || unicode.IsLetter(r) || unicode.Is(unicode.Nl, r) }

func isStringPrefix(s string) bool {
	switch strings.ToLower(s) {
	case "r", "u", "b", "f", "t", "br", "rb", "fr", "rf", "tr", "rt":
		return true
	}
	return false
}
