package main_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestOKF(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	dir := t.TempDir()
	for name, text := range map[string]string{
		"trains.md": "---\ntype: Section\ntitle: Trains\n---\nSecond class up to 300 km.\n",
		"meals.md":  "---\ntype: Section\ntitle: Meals\n---\nAn allowance of 28 euros abroad.\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct{ args, want string }{
		{"find DIR which class on a train", "trains"},
		{"read DIR meals", "28 euros"},
		{"toc DIR", "Meals"},
		{"grep DIR 300.km", "trains"},
	} {
		args := strings.Fields(strings.Replace(c.args, "DIR", dir, 1))
		if r := codeagent(t, append([]string{"okf"}, args...)...); r.code != 0 || !strings.Contains(r.stdout, c.want) {
			t.Errorf("%s: %+v", c.args, r)
		}
		r := codeagent(t, append([]string{"okf", args[0], "--json"}, args[1:]...)...)
		if r.code != 0 || !json.Valid([]byte(r.stdout)) {
			t.Errorf("%s as JSON: %+v", c.args, r)
		}
	}
	if r := codeagent(t, "okf", "check", dir); r.code != 0 {
		t.Errorf("check: %+v", r)
	}
	if err := os.WriteFile(filepath.Join(dir, "bad.md"), []byte("no frontmatter\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if r := codeagent(t, "okf", "check", dir); r.code != 1 || !strings.Contains(r.stdout, "bad.md") {
		t.Errorf("check: %+v", r)
	}
	if r := codeagent(t, "okf", "read", dir, "train"); r.code != 2 || !strings.Contains(r.stderr, "trains") {
		t.Errorf("an id that is not there: %+v", r)
	}
	junk := filepath.Join(t.TempDir(), "junk.pdf")
	if err := os.WriteFile(junk, []byte("<html>"), 0o600); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "bundle")
	if r := codeagent(t, "okf", "build", junk, out); r.code != 2 || !strings.Contains(r.stderr, "no PDF") || strings.Count(r.stderr, "\n") != 1 {
		t.Errorf("junk: %+v", r)
	}
	if _, err := os.Stat(out); err == nil {
		t.Error("junk left a bundle")
	}
}

// TestOKFSeveral: commands look into several bundles as one.
func TestOKFSeveral(t *testing.T) {
	t.Setenv("STRANDS_CACHE", t.TempDir())
	parent := t.TempDir()
	for _, name := range []string{"travel", "food"} {
		if err := os.Mkdir(filepath.Join(parent, name), 0o755); err != nil {
			t.Fatal(err)
		}
		text := "---\ntype: Section\ntitle: About " + name + "\n---\nAll of " + name + ".\n[x](none.md)\n"
		if err := os.WriteFile(filepath.Join(parent, name, "page.md"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	travel, food := filepath.Join(parent, "travel"), filepath.Join(parent, "food")
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"find", travel, "food"}, "1. food/page"},
		{[]string{"read", travel, "food/page"}, "All of food"},
		{[]string{"children", travel, "food/"}, "food/page"},
		{[]string{"toc", travel}, "travel/page"},
		{[]string{"grep", travel, "All of"}, "food/page:1: All of food."},
	} {
		if r := codeagent(t, append(append([]string{"okf"}, c.args...), "--with", food)...); r.code != 0 || !strings.Contains(r.stdout, c.want) {
			t.Errorf("%v: %+v", c.args, r)
		}
	}
	if r := codeagent(t, "okf", "find", travel, "food", "--with", travel); r.code != 2 || !strings.Contains(r.stderr, "different names") {
		t.Errorf("the same twice: %+v", r)
	}
	if r := codeagent(t, "okf", "check", travel, food); r.code != 0 || !strings.Contains(r.stdout, filepath.Join(food, "page.md")+":6: warning: link to none") {
		t.Errorf("check: %+v", r)
	}
}

// TestOKFBuild: a folder of Markdown becomes a bundle, by the flags and with
// the counts that programs read.
func TestOKFBuild(t *testing.T) {
	t.Setenv("STRANDS_CACHE", t.TempDir())
	src, out := t.TempDir(), filepath.Join(t.TempDir(), "bundle")
	if err := os.WriteFile(filepath.Join(src, "trains.md"), []byte("# Trains\n\nSecond class up to 300 km.\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := codeagent(t, "okf", "build", "--json", src, out)
	var report struct {
		Concepts, WordsIn, WordsKept int
		Problems                     []string
	}
	if err := json.Unmarshal([]byte(r.stdout), &report); err != nil || r.code != 0 || report.Concepts != 1 || report.WordsIn != 7 || report.WordsKept != 7 || report.Problems == nil {
		t.Fatalf("%+v, %v", r, err)
	}
	r = codeagent(t, "okf", "find", "--json", out, "class on a train")
	var hits []map[string]any
	if err := json.Unmarshal([]byte(r.stdout), &hits); err != nil || len(hits) != 1 {
		t.Fatalf("%+v, %v", r, err)
	}
	for _, key := range []string{"id", "title", "path", "pages", "score", "snippet", "lines", "tokens"} {
		if _, ok := hits[0][key]; !ok {
			t.Errorf("find --json has no %q: %v", key, hits[0])
		}
	}
	if r := codeagent(t, "okf", "build", src, out); r.code != 0 || !strings.Contains(r.stdout, "up to date") {
		t.Errorf("again: %+v", r)
	}
	for _, args := range [][]string{{"--workers", "-1", src, out}, {"--type-names", "A,,B", src, out}, {filepath.Join(src, "none"), out}, {t.TempDir(), out + "2"}} {
		if r := codeagent(t, append([]string{"okf", "build"}, args...)...); r.code != 2 || strings.Count(r.stderr, "\n") != 1 {
			t.Errorf("%v: %+v", args, r)
		}
	}
}

func TestOKFLicenses(t *testing.T) {
	if r := codeagent(t, "okf", "licenses"); r.code != 0 || !strings.Contains(r.stdout, "PDFium Authors") || !strings.Contains(r.stdout, "FreeType") {
		t.Errorf("exit %d, %d bytes", r.code, len(r.stdout))
	}
}

// TestRunDocs: the model of a run looks things up in bundles.
func TestRunDocs(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	var dirs []string
	for _, name := range []string{"travel", "food"} {
		dir := filepath.Join(t.TempDir(), name)
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "page.md"), []byte("---\ntype: Section\ntitle: About "+name+"\n---\nAll of "+name+".\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		dirs = append(dirs, dir)
	}
	script := filepath.Join(t.TempDir(), "script.yaml")
	if err := os.WriteFile(script, []byte("turns:\n- python: print(docs.read(\"food/page\"))\n- text: 'It says: {{ match 1 \"(All of [a-z]+)\" }}'\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if r := codeagent(t, "run", "--model", "scripted:"+script, "--docs", dirs[0], "--docs", dirs[1], "what?"); r.code != 0 || !strings.Contains(r.stdout, "It says: All of food") {
		t.Errorf("%+v", r)
	}
	for want, dir := range map[string]string{"no such file": filepath.Join(t.TempDir(), "none"), "okf build": t.TempDir()} {
		if r := codeagent(t, "run", "--model", "scripted:"+script, "--docs", dir, "what?"); r.code != 2 || !strings.Contains(r.stderr, want) || strings.Count(r.stderr, "\n") != 1 {
			t.Errorf("--docs %s: %+v", dir, r)
		}
	}
}
