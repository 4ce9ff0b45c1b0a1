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
