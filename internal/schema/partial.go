package schema

import (
	"encoding/json"
	"strings"
)

// Partial completes text, the beginning of a JSON value, to a whole value: open
// strings, arrays and objects are closed, and what cannot be told yet (half a
// number, half a word, a key without its value) is left out. It says false
// when there is nothing yet, or text is not the beginning of JSON.
func Partial(text string) (json.RawMessage, bool) {
	var closers []byte // of what is open
	safe := -1         // text[:safe] can be closed, by what was open there
	var safeClosers []byte
	mark := func(end int) {
		safe, safeClosers = end, append(safeClosers[:0], closers...)
	}
	isKey := func() bool { return len(closers) > 0 && closers[len(closers)-1] == '}' }
	wantsKey := false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; c {
		case '{', '[':
			closers = append(closers, c+2) // in ASCII
			wantsKey = c == '{'
			mark(i + 1)
		case '}', ']':
			if len(closers) == 0 || closers[len(closers)-1] != c {
				return nil, false
			}
			closers = closers[:len(closers)-1]
			wantsKey = false
			mark(i + 1)
		case ',':
			wantsKey = isKey()
		case ':':
			wantsKey = false
		case '"':
			end, whole := stringEnd(text, i)
			if wantsKey {
				if !whole {
					i = len(text)
					break
				}
				i = end - 1
				break
			}
			if !whole {
				return finish(text[:end]+`"`, closers)
			}
			i = end - 1
			mark(end)
		case ' ', '\t', '\r', '\n':
		default: // a number or a word ends where something else begins
			end := i + strings.IndexAny(text[i:], ",]} \t\r\n")
			if end < i {
				i = len(text)
				break
			}
			i = end - 1
			mark(end)
		}
	}
	if safe < 0 {
		return nil, false
	}
	return finish(text[:safe], safeClosers)
}

// stringEnd returns where the string that begins at i ends, or the end of what
// is whole of it.
func stringEnd(text string, i int) (end int, whole bool) {
	for j := i + 1; j < len(text); {
		switch text[j] {
		case '"':
			return j + 1, true
		case '\\':
			n := 2
			if j+1 < len(text) && text[j+1] == 'u' {
				n = 6
			}
			if j+n > len(text) {
				return j, false
			}
			j += n
		default:
			j++
		}
	}
	return len(text), false
}

func finish(text string, closers []byte) (json.RawMessage, bool) {
	var b strings.Builder
	b.WriteString(text)
	for i := len(closers) - 1; i >= 0; i-- {
		b.WriteByte(closers[i])
	}
	raw := json.RawMessage(strings.ToValidUTF8(b.String(), "")) // half a character
	return raw, json.Valid(raw)
}
