package strands_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestParityNamesTests: each test that docs/parity.md and docs/scenarios.md
// name is there.
func TestParityNamesTests(t *testing.T) {
	there := map[string]bool{}
	declared := regexp.MustCompile(`(?m)^func (Test\w+)\(`)
	err := filepath.WalkDir(".", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		src, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, m := range declared.FindAllSubmatch(src, -1) {
			there[string(m[1])] = true
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"docs/parity.md", "docs/scenarios.md"} {
		doc, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		names := regexp.MustCompile(`\bTest[A-Z]\w+`).FindAllString(string(doc), -1)
		if len(names) < 50 {
			t.Errorf("only %d tests are named in %s", len(names), path)
		}
		for _, name := range names {
			if !there[name] {
				t.Errorf("%s names %s, which is not there", path, name)
			}
		}
	}
}

// TestParityIsComplete: docs/parity.md has every class, method, parameter,
// attribute and event of the SDK's agent module.
func TestParityIsComplete(t *testing.T) {
	doc, err := os.ReadFile("docs/parity.md")
	if err != nil {
		t.Fatal(err)
	}
	names, err := os.ReadFile("testdata/sdk-names.txt")
	if err != nil {
		t.Fatal(err)
	}
	there := map[string]bool{}
	for _, word := range regexp.MustCompile(`\w+`).FindAllString(string(doc), -1) {
		there[word] = true
	}
	for name := range strings.FieldsSeq(string(names)) {
		if !there[name] {
			t.Errorf("docs/parity.md says nothing of %s", name)
		}
	}
}
