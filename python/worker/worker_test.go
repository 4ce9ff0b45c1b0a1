package worker_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/strandsgo/strands/python/worker"
)

// TestModulesAreComplete compares the order of execution with the folder.
func TestModulesAreComplete(t *testing.T) {
	files, err := filepath.Glob("*.py")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"strands_worker"}
	for _, file := range files {
		want = append(want, "strands_worker."+strings.TrimSuffix(file, ".py"))
	}
	var got []string
	for _, m := range worker.Modules() {
		got = append(got, m.Name)
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("Modules() has %v, the folder %v", got, want)
	}
	entry, _, _ := strings.Cut(worker.Entry, ":")
	if !slices.Contains(got, entry) {
		t.Errorf("Entry %q is in no module", worker.Entry)
	}
}

// TestModulesImportBackwards: what a module imports of ours was executed
// before it.
func TestModulesImportBackwards(t *testing.T) {
	known := map[string]bool{}
	for _, m := range worker.Modules() {
		for line := range strings.Lines(m.Source) {
			rest, ok := strings.CutPrefix(line, "from strands_worker")
			if !ok {
				continue
			}
			from, names, _ := strings.Cut(rest, " import ")
			imports := []string{"strands_worker" + from}
			if from == "" {
				imports = nil
				for name := range strings.SplitSeq(strings.TrimSpace(names), ", ") {
					imports = append(imports, "strands_worker."+name)
				}
			}
			for _, name := range imports {
				if !known[name] {
					t.Errorf("%s imports %s, which is not executed before it", m.Name, name)
				}
			}
		}
		known[m.Name] = true
	}
}

// TestModulesHaveTheirOwnBuiltins: without the line, a model that breaks the
// builtins breaks the worker.
func TestModulesHaveTheirOwnBuiltins(t *testing.T) {
	const line = "from strands_worker.private import BUILTINS as __builtins__\n"
	for _, m := range worker.Modules() {
		if m.Source == "" || m.Name == "strands_worker.private" {
			continue
		}
		before, _, found := strings.Cut(m.Source, line)
		if !found || strings.Contains(before, "\ndef ") || strings.Contains(before, "\nclass ") {
			t.Errorf("%s does not begin with %q", m.Name, line)
		}
	}
}
