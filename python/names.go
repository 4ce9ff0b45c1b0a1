package python

import (
	"strings"
	"unicode"
)

// keywords cannot be names; builtins should not be hidden by functions.
var (
	keywords = words(`False None True and as assert async await break class continue def del elif else except finally for
		from global if import in is lambda nonlocal not or pass raise return try while with yield`)
	builtins = words(`ArithmeticError AssertionError AttributeError BaseException BaseExceptionGroup BlockingIOError
		BrokenPipeError BufferError BytesWarning ChildProcessError ConnectionAbortedError ConnectionError
		ConnectionRefusedError ConnectionResetError DeprecationWarning EOFError Ellipsis EncodingWarning EnvironmentError
		Exception ExceptionGroup FileExistsError FileNotFoundError FloatingPointError FutureWarning GeneratorExit IOError
		ImportError ImportWarning IndentationError IndexError InterruptedError IsADirectoryError KeyError KeyboardInterrupt
		LookupError MemoryError ModuleNotFoundError NameError NotADirectoryError NotImplemented NotImplementedError OSError
		OverflowError PendingDeprecationWarning PermissionError ProcessLookupError RecursionError ReferenceError
		ResourceWarning RuntimeError RuntimeWarning StopAsyncIteration StopIteration SyntaxError SyntaxWarning SystemError
		SystemExit TabError TimeoutError TypeError UnboundLocalError UnicodeDecodeError UnicodeEncodeError UnicodeError
		UnicodeTranslateError UnicodeWarning UserWarning ValueError Warning ZeroDivisionError abs aiter all anext any ascii
		bin bool breakpoint bytearray bytes callable chr classmethod compile complex copyright credits delattr dict dir
		display divmod enumerate eval exec exit filter float format frozenset getattr globals hasattr hash help hex id input
		int isinstance issubclass iter len license list locals map max memoryview min next object oct open ord pow print
		property quit range repr reversed round set setattr slice sorted staticmethod str sum super tuple type vars zip`)
)

func words(s string) map[string]bool {
	m := map[string]bool{}
	for _, w := range strings.Fields(s) {
		m[w] = true
	}
	return m
}

// functionName is the Python name of a tool: snake case, and neither a keyword
// nor a builtin.
func functionName(name string) string {
	n := paramName(name)
	if builtins[n] {
		n += "_"
	}
	return n
}

// paramName is the Python name of an argument. It may hide a builtin, as "id"
// does everywhere.
func paramName(name string) string {
	n := snake(name)
	if keywords[n] {
		n += "_"
	}
	return n
}

// snake turns userID, user-id and "user id" into user_id. The result is an
// ASCII identifier.
func snake(name string) string {
	var b strings.Builder
	runes := []rune(name)
	for i, r := range runes {
		lower := unicode.ToLower(r)
		if lower != r && i > 0 {
			prev := runes[i-1]
			nextLower := i+1 < len(runes) && unicode.IsLower(runes[i+1])
			if unicode.IsLower(prev) || unicode.IsDigit(prev) || unicode.IsUpper(prev) && nextLower {
				b.WriteByte('_')
			}
		}
		if lower < 0x80 && (lower == '_' || unicode.IsLetter(lower) || unicode.IsDigit(lower)) {
			b.WriteRune(lower)
		} else {
			b.WriteByte('_')
		}
	}
	n := b.String()
	if n == "" || n[0] >= '0' && n[0] <= '9' || strings.Trim(n, "_") == "" {
		n = "_" + n
	}
	return n
}

// isIdentifier says whether s can be a name in Python; ASCII only, which is
// what we offer.
func isIdentifier(s string) bool {
	if s == "" || keywords[s] || s[0] >= '0' && s[0] <= '9' {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if c != '_' && (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'z') {
			return false
		}
	}
	return true
}

// isModuleName says whether s can be imported: identifiers between dots.
func isModuleName(s string) bool {
	for part := range strings.SplitSeq(s, ".") {
		if !isIdentifier(part) {
			return false
		}
	}
	return true
}
