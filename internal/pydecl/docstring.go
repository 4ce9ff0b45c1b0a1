package pydecl

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// docstring joins the strings that toks consist of; "" when something else is
// among them.
func docstring(toks []token) string {
	var b strings.Builder
	for _, t := range toks {
		s, ok := t.literal()
		if !ok {
			return ""
		}
		b.WriteString(s)
	}
	return cleanDoc(b.String())
}

// literal returns the value of a string token; false for bytes and f-strings,
// and for what is no string.
func (t token) literal() (string, bool) {
	if t.kind != stringToken {
		return "", false
	}
	i := strings.IndexAny(t.text, `"'`)
	prefix, body := strings.ToLower(t.text[:i]), t.text[i:]
	if strings.ContainsAny(prefix, "bft") {
		return "", false
	}
	quote := body[:1]
	if strings.HasPrefix(body, quote+quote+quote) && len(body) >= 6 {
		quote = body[:3]
	}
	body = strings.TrimSuffix(body[len(quote):], quote)
	if strings.Contains(prefix, "r") {
		return body, true
	}
	return unescape(body), true
}

var escapes = map[byte]string{
	'\n': "", '\\': `\`, '\'': "'", '"': `"`, 'a': "\a", 'b': "\b", 'f': "\f",
	'n': "\n", 'r': "\r", 't': "\t", 'v': "\v",
}

func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for len(s) > 0 {
		i := strings.IndexByte(s, '\\')
		if i < 0 || i+1 == len(s) {
			break
		}
		b.WriteString(s[:i])
		s = s[i+1:]
		if text, ok := escapes[s[0]]; ok {
			b.WriteString(text)
			s = s[1:]
		} else if r, n := codePoint(s); n > 0 {
			b.WriteRune(r)
			s = s[n:]
		} else {
			b.WriteByte('\\')
			b.WriteByte(s[0])
			s = s[1:]
		}
	}
	b.WriteString(s)
	return b.String()
}

// codePoint reads what follows the backslash of \ooo, \xhh, \uhhhh and
// \Uhhhhhhhh, and says how many bytes that is; 0 when it is none of them.
func codePoint(s string) (rune, int) {
	digits, base := "", 16
	switch s[0] {
	case 'x':
		digits = s[1:min(3, len(s))]
	case 'u':
		digits = s[1:min(5, len(s))]
	case 'U':
		digits = s[1:min(9, len(s))]
	default:
		n := 0
		for n < 3 && n < len(s) && '0' <= s[n] && s[n] <= '7' {
			n++
		}
		if n == 0 {
			return 0, 0
		}
		r, _ := strconv.ParseUint(s[:n], 8, 32)
		return rune(r), n
	}
	r, err := strconv.ParseUint(digits, base, 32)
	if err != nil || r > utf8.MaxRune {
		return 0, 0
	}
	return rune(r), 1 + len(digits)
}

// cleanDoc takes the common indentation from a docstring's lines, the first
// apart, and blank lines from its ends and blanks from the ends of its lines.
func cleanDoc(doc string) string {
	lines := strings.Split(doc, "\n")
	margin := -1
	for i, l := range lines {
		l = strings.TrimRight(expandTabs(l), " \t\f\v\r")
		lines[i] = l
		if indent := len(l) - len(strings.TrimLeft(l, " ")); i > 0 && l != "" && (margin < 0 || indent < margin) {
			margin = indent
		}
	}
	for i, l := range lines {
		if i == 0 {
			lines[i] = strings.TrimLeft(l, " ")
		} else if margin > 0 && l != "" {
			lines[i] = l[margin:]
		}
	}
	return strings.Trim(strings.Join(lines, "\n"), "\n")
}

func expandTabs(s string) string {
	if !strings.Contains(s, "\t") {
		return s
	}
	var b strings.Builder
	col := 0
	for _, r := range s {
		if r == '\t' {
			b.WriteString("        "[col%8:])
			col += 8 - col%8
			continue
		}
		b.WriteRune(r)
		col++
	}
	return b.String()
}
