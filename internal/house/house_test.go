// Package house holds the tests that keep the repository in order: who may
// import whom, how long files and functions may be, and that what the README
// shows is what is compiled and tested.
package house

import (
	"bytes"
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/strandsgo/strands"

// mayImport says which of our own packages a package may import beside itself
// and those below internal; a trailing /... covers what lies beneath. It is
// the table of docs/design.md, section 2. What is not listed is a mistake in
// this table or in the layout.
var mayImport = map[string][]string{
	"":                        {},
	"agentcore":               {"", "python", "agentcore/..."},
	"agentcore/javascript":    {},
	"artifact":                {""},
	"artifact/s3":             {"", "artifact"},
	"bench/...":               {"..."},
	"cmd/...":                 {"..."},
	"codeagent":               {"", "python", "knowledge"},
	"conversation":            {""},
	"data":                    {"", "table"},
	"data/duckdb":             {"", "table", "data"},
	"examples/...":            {"..."},
	"internal/...":            {},
	"knowledge":               {""},
	"knowledge/embedding":     {"", "knowledge"},
	"knowledge/internal/...":  {},
	"knowledge/markup":        {"", "knowledge"},
	"knowledge/pdf":           {"", "knowledge"},
	"mcp":                     {""},
	"models":                  {"", "models/..."},
	"models/...":              {""},
	"python":                  {"", "python/worker"},
	"python/embedded":         {"python"},
	"python/pythontest":       {"", "python"},
	"python/worker":           {},
	"session":                 {""},
	"session/internal/layout": {""},
	"session/s3":              {"", "session"},
	"session/sql":             {"", "session"},
	"strandstest":             {""},
	"table":                   {""},
}

type pkg struct {
	ImportPath string
	Imports    []string
}

func TestImportDirections(t *testing.T) {
	for _, p := range listPackages(t) {
		name := strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, module), "/")
		allowed, ok := lookup(name)
		if !ok {
			t.Errorf("package %q is not in the table of import rules", name)
			continue
		}
		for _, imp := range p.Imports {
			if imp != module && !strings.HasPrefix(imp, module+"/") {
				continue
			}
			to := strings.TrimPrefix(strings.TrimPrefix(imp, module), "/")
			internal := strings.HasPrefix(to, "internal/") || strings.Contains(to, "/internal/")
			if !internal && !slices.ContainsFunc(allowed, func(a string) bool { return matches(a, to) }) {
				t.Errorf("%q imports %q: not allowed by docs/design.md, section 2", name, to)
			}
		}
	}
}

// TestInternalKnowsNoVocabulary: mechanisms have no opinions.
func TestInternalImportsStayLow(t *testing.T) {
	for _, p := range listPackages(t) {
		name := strings.TrimPrefix(p.ImportPath, module+"/")
		if !strings.HasPrefix(name, "internal/") {
			continue
		}
		for _, imp := range p.Imports {
			if imp == module {
				t.Errorf("%q imports the root package", name)
			}
		}
	}
}

// TestRootDependencies: whoever uses the vocabulary links nothing else.
func TestRootDependencies(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", module).Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	allowed := []string{module, "github.com/google/jsonschema-go/", "go.opentelemetry.io/otel", "go.opentelemetry.io/auto/sdk", "github.com/go-logr/", "github.com/cespare/xxhash/"}
	for dep := range strings.FieldsSeq(string(out)) {
		first, _, _ := strings.Cut(dep, "/")
		if strings.Contains(first, ".") && !slices.ContainsFunc(allowed, func(a string) bool { return strings.HasPrefix(dep, a) }) {
			t.Errorf("the root package depends on %s", dep)
		}
	}
}

func listPackages(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports", module+"/...")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var pkgs []pkg
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		if err := dec.Decode(&p); err == io.EOF {
			return pkgs
		} else if err != nil {
			t.Fatal(err)
		}
		pkgs = append(pkgs, p)
	}
}

// lookup finds the rule of a package: its own, else that of the nearest
// pattern above it.
func lookup(name string) ([]string, bool) {
	if r, ok := mayImport[name]; ok {
		return r, true
	}
	best := ""
	for pattern := range mayImport {
		if strings.HasSuffix(pattern, "...") && matches(pattern, name) && len(pattern) > len(best) {
			best = pattern
		}
	}
	return mayImport[best], best != ""
}

func matches(pattern, name string) bool {
	if prefix, ok := strings.CutSuffix(pattern, "..."); ok {
		return strings.HasPrefix(name+"/", prefix)
	}
	return pattern == name
}

// The budgets of AGENTS.md.
const (
	maxFile = 600
	maxFunc = 80
)

func TestBudgets(t *testing.T) {
	for _, path := range sources(t, ".go", ".py") {
		src, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if n := bytes.Count(src, []byte("\n")); n > maxFile && !strings.HasSuffix(path, "_test.go") {
			t.Errorf("%s has %d lines; %d are allowed", path, n, maxFile)
		}
		if strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, "_test.go") {
			checkFuncs(t, path, src)
		}
	}
}

func checkFuncs(t *testing.T, path string, src []byte) {
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, path, src, 0)
	if err != nil {
		t.Error(err)
		return
	}
	for _, d := range f.Decls {
		fn, ok := d.(*ast.FuncDecl)
		if !ok {
			continue
		}
		if n := fset.Position(fn.End()).Line - fset.Position(fn.Pos()).Line; n > maxFunc {
			t.Errorf("%s: func %s has %d lines; %d are allowed", path, fn.Name.Name, n, maxFunc)
		}
	}
}

// TestRootIsSmall: the vocabulary stays one that a person can read.
func TestRootIsSmall(t *testing.T) {
	lines := 0
	files, err := filepath.Glob("../../*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range files {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		src, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(src)) {
			if s := strings.TrimSpace(line); s != "" && !strings.HasPrefix(s, "//") {
				lines++
			}
		}
	}
	if lines > 5000 {
		t.Errorf("the root package has %d lines of code; 5000 are allowed", lines)
	}
}

// sources lists the files of the repository with one of the endings.
func sources(t *testing.T, endings ...string) []string {
	t.Helper()
	var paths []string
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() && (name == "testdata" || name == "node_modules" || (strings.HasPrefix(name, ".") && name != "." && name != "..")) {
			return fs.SkipDir
		}
		if slices.Contains(endings, filepath.Ext(name)) {
			paths = append(paths, path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return paths
}
