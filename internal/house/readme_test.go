package house

import (
	"bytes"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// marker names the Example function whose body a document shows, on the line
// before the code:
//
//	<!-- example: codeagent ExampleNew -->
var marker = regexp.MustCompile("(?m)^<!-- example: (\\S+) (\\w+) -->\n```go\n((?s).*?)```")

// TestDocumentsShowTestedCode: every piece of Go in the README and the docs is
// the body of an Example function that runs in the tests.
func TestDocumentsShowTestedCode(t *testing.T) {
	docs, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, doc := range append(docs, "../../README.md") {
		text, err := os.ReadFile(doc)
		if err != nil {
			t.Fatal(err)
		}
		shown := marker.FindAllSubmatch(text, -1)
		if n := bytes.Count(text, []byte("\n```go\n")); n != len(shown) {
			t.Errorf("%s: %d of %d pieces of Go name the Example they show", doc, len(shown), n)
		}
		for _, m := range shown {
			want := exampleBody(t, string(m[1]), string(m[2]))
			if got := string(m[3]); got != want {
				t.Errorf("%s: %s.%s has drifted; it should show:\n%s", doc, m[1], m[2], want)
			}
		}
	}
}

// exampleBody returns the statements of an Example function as a reader would
// write them: one tab less, without the output comment.
func exampleBody(t *testing.T, dir, name string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("../..", dir, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		src, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		fset := token.NewFileSet()
		f, err := parser.ParseFile(fset, file, src, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == name {
				return bodyText(t, fset, fn, src)
			}
		}
	}
	t.Fatalf("no func %s in the tests of %q", name, dir)
	return ""
}

func bodyText(t *testing.T, fset *token.FileSet, fn *ast.FuncDecl, src []byte) string {
	t.Helper()
	body := string(src[fset.Position(fn.Body.Lbrace).Offset+1 : fset.Position(fn.Body.Rbrace).Offset])
	if i := strings.Index(body, "\t// Output:"); i >= 0 {
		body = body[:i]
	}
	var b strings.Builder
	for line := range strings.Lines(strings.Trim(body, "\n") + "\n") {
		b.WriteString(strings.TrimPrefix(line, "\t"))
	}
	text := strings.TrimRight(b.String(), "\n") + "\n"
	if out, err := format.Source([]byte(text)); err != nil || string(out) != text {
		t.Fatalf("%s is not formatted: %v", fn.Name.Name, err)
	}
	return text
}

// TestReadmeCommands: the commands that .ci/run takes from the README are
// there, one each.
func TestReadmeCommands(t *testing.T) {
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"main-job", "tests"} {
		re := regexp.MustCompile("(?m)^<!-- command: " + name + " -->\n```sh\n(.+)\n```$")
		if n := len(re.FindAllSubmatch(text, -1)); n != 1 {
			t.Errorf("README.md has %d commands marked %q; .ci/run needs one, on one line", n, name)
		}
	}
}

var link = regexp.MustCompile(`\]\(([^)#:]+)(#[^)]*)?\)`)

// TestLinks: what the documents point to exists.
func TestLinks(t *testing.T) {
	for _, doc := range sources(t, ".md") {
		text, err := os.ReadFile(doc)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range link.FindAllSubmatch(text, -1) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(doc), string(m[1]))); err != nil {
				t.Errorf("%s links to %s, which is not there", doc, m[1])
			}
		}
	}
}
