package codeagent

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/strandsgo/strands/internal/pydecl"
	"github.com/strandsgo/strands/python"
	_ "github.com/strandsgo/strands/python/embedded"
)

//go:embed testdata/compare.py
var compareScript string

// TestDeclarationsAsPythonSeesThem reads Python's whole standard library
// without Python and lets Python's own parser look for mistakes.
func TestDeclarationsAsPythonSeesThem(t *testing.T) {
	interpreter := &python.Exec{} // the library's files are the host's
	defer interpreter.Close()
	repl, err := interpreter.Open(t.Context(), python.Options{Limits: python.Limits{Output: -1}})
	if err != nil {
		t.Fatal(err)
	}
	defer repl.Close()
	root := strings.TrimSpace(snippet(t, repl, "import os; print(os.path.dirname(os.__file__))"))

	var modules []any
	err = filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && d.Name() == "site-packages":
			return filepath.SkipDir
		case d.IsDir() || filepath.Ext(path) != ".py":
			return nil
		}
		source, err := os.ReadFile(path)
		if err != nil || !utf8.Valid(source) {
			return err
		}
		modules = append(modules, []any{path, pydecl.Parse(string(source))})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, batch := range slices.Collect(slices.Chunk(modules, 25)) {
		data, err := json.Marshal(batch)
		if err != nil {
			t.Fatal(err)
		}
		if err := repl.(python.Filer).WriteFile(t.Context(), fmt.Sprintf("decls%d.json", i), bytes.NewReader(data)); err != nil {
			t.Fatal(err)
		}
	}
	differences := strings.Split(strings.TrimSpace(snippet(t, repl, compareScript)), "\n")
	count := regexp.MustCompile(`^compared (\d+) files$`).FindStringSubmatch(differences[len(differences)-1])
	if count == nil {
		t.Fatalf("the comparison did not end: %q", differences)
	}
	if n, _ := strconv.Atoi(count[1]); n < 500 {
		t.Errorf("only %d files were compared", n)
	}
	for _, d := range differences[:len(differences)-1] {
		t.Error(d)
	}
	t.Log(count[0])
}

// snippet runs code and returns what it prints.
func snippet(t *testing.T, repl python.Session, code string) string {
	t.Helper()
	var out strings.Builder
	for o, err := range repl.Exec(t.Context(), code) {
		if err != nil {
			t.Fatal(err)
		}
		out.WriteString(o.Stdout)
		if o.Result != nil && o.Result.Err != nil {
			t.Fatalf("%v\n%s", o.Result.Err, o.Result.Err.Traceback)
		}
	}
	return out.String()
}
