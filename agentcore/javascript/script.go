package javascript

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/evanw/esbuild/pkg/api"
)

// prepare makes of a cell's source what the engine can evaluate again and
// again in one scope: types are taken out, what a cell declares can be declared
// anew by a later one, and imports become calls of require.
func prepare(name, source string, typed bool) (string, error) {
	loader := api.LoaderJS
	if typed {
		loader = api.LoaderTS
	}
	made := api.Transform(source, api.TransformOptions{
		Sourcefile: name, Loader: loader, Target: api.ESNext, LegalComments: api.LegalCommentsNone, LogLevel: api.LogLevelSilent,
		// Without template literals nothing but a statement of the top level
		// can begin in the first column, which is what topLevel relies on.
		Supported: map[string]bool{"template-literal": false},
		// An import is there for a later cell, too.
		TsconfigRaw: `{"compilerOptions":{"verbatimModuleSyntax":true,"experimentalDecorators":true}}`,
	})
	if len(made.Errors) > 0 {
		return "", syntaxError(made.Errors[0])
	}
	return topLevel(string(made.Code))
}

func syntaxError(m api.Message) error {
	if m.Location == nil {
		return fmt.Errorf("SyntaxError: %s", m.Text)
	}
	return fmt.Errorf("SyntaxError: %s\n    at %s:%d:%d\n    %s", m.Text, m.Location.File, m.Location.Line, m.Location.Column+1, m.Location.LineText)
}

var (
	declaration = regexp.MustCompile(`^(let|const) `)
	class       = regexp.MustCompile(`^class ([\pL\pN_$]+)`)
	imported    = regexp.MustCompile(`^import (?:(.+) from )?("[^"]*");$`)
	exported    = regexp.MustCompile(`^export (default )?`)
	exportList  = regexp.MustCompile(`^export (\{.*\}|\* .*);?$`)
)

// topLevel rewrites the statements that begin in the first column.
func topLevel(code string) (string, error) {
	var b strings.Builder
	inClass, inExport := false, false
	for line := range strings.Lines(code) {
		text := strings.TrimSuffix(line, "\n")
		switch {
		case inExport: // export {…} over several lines: nothing is exported
			inExport = !strings.HasPrefix(text, "}")
			continue
		case text == "export {":
			inExport = true
			continue
		case exportList.MatchString(text):
			continue
		}
		text = exported.ReplaceAllString(text, "")
		switch {
		case inClass && strings.HasPrefix(text, "}"):
			text, inClass = text+";", false
		case declaration.MatchString(text):
			text = "var " + declaration.ReplaceAllString(text, "")
		case class.MatchString(text):
			name := class.FindStringSubmatch(text)[1]
			text, inClass = "var "+name+" = "+text, !strings.HasSuffix(text, "}")
		case strings.HasPrefix(text, "import "):
			var err error
			if text, err = require(text); err != nil {
				return "", err
			}
		}
		b.WriteString(text)
		b.WriteByte('\n')
	}
	return b.String(), nil
}

var renamed = regexp.MustCompile(`([\pL\pN_$]+) as ([\pL\pN_$]+)`)

// require turns an import statement, as esbuild prints it, into declarations.
func require(line string) (string, error) {
	m := imported.FindStringSubmatch(line)
	if m == nil {
		return "", fmt.Errorf("SyntaxError: this form of import is not there: %s", line)
	}
	what, module := m[1], "require("+m[2]+")"
	if what == "" {
		return module + ";", nil
	}
	first, rest, both := strings.Cut(what, ", ")
	if !strings.HasPrefix(what, "{") && !strings.HasPrefix(what, "*") {
		text := "var " + first + " = " + module + ".default;"
		if !both {
			return text, nil
		}
		more, err := require("import " + rest + " from " + m[2] + ";")
		return text + " " + more, err
	}
	if name, ok := strings.CutPrefix(what, "* as "); ok {
		return "var " + name + " = " + module + ";", nil
	}
	return "var " + renamed.ReplaceAllString(what, "$1: $2") + " = " + module + ";", nil
}
