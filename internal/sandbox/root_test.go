//go:build linux

package sandbox

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestPlanRoot(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	at := func(name string) string { return filepath.Join(dir, name) }
	for _, name := range []string{"usr/lib/python", "opt"} {
		if err := os.MkdirAll(at(name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range map[string]string{
		"lib": "usr/lib", "opt/link": at("lib") + "/python", "usr/lib/inside": "python", "loop": "loop",
	} {
		if err := os.Symlink(text, at(name)); err != nil {
			t.Fatal(err)
		}
	}
	plan, err := planRoot([]string{at("opt/link"), at("usr/lib/inside"), at("lib"), at("absent")})
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{at("usr/lib")}; !slices.Equal(plan.Binds, want) {
		t.Errorf("binds %q, want %q", plan.Binds, want)
	}
	// Links below a bind come with it.
	want := [][2]string{{at("lib"), "usr/lib"}, {at("opt/link"), at("lib") + "/python"}}
	if !slices.Equal(plan.Links, want) {
		t.Errorf("links %q, want %q", plan.Links, want)
	}
	for path, reason := range map[string]string{at("loop"): "too many symbolic links", "relative": "not an absolute path", "/": "whole file system"} {
		if _, err := planRoot([]string{path}); err == nil || !strings.Contains(err.Error(), reason) {
			t.Errorf("%s: %v, want %q", path, err, reason)
		}
	}
}

// TestVerifyRefuses holds the view from outside against processes that are
// not what they should be: this one, above all.
func TestVerifyRefuses(t *testing.T) {
	z := start(t, Config{Level: LevelNamespaces})
	b := fork(t, z, SessionConfig{})
	good := expectation{
		level: LevelNamespaces, outside: z.outside, uid: z.hostUser(b.Process.(*session)), proc: true, bounded: true, readOnly: z.plan.Binds,
	}
	spaces, err := good.verify(b.Pid())
	if err != nil || len(spaces) != len(sessionNamespaces) {
		t.Fatalf("a good session: %v, %v", spaces, err)
	}
	if err := (&family{z: z}).settle(spaces[3:4]); err == nil || !strings.Contains(err.Error(), "another session") {
		t.Errorf("a namespace of another session: %v", err)
	}
	// The kernel may have given this name away when its session was killed a moment ago.
	if err := (&family{z: z}).settle(spaces[:1]); err != nil {
		t.Errorf("a namespace that ends with its session: %v", err)
	}
	theirs, err := outsiders(b.Pid())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := good.verify(os.Getpid()); err == nil || !strings.Contains(err.Error(), "want") {
		t.Errorf("this process: %v", err)
	}
	for name, bad := range map[string]func(*expectation){
		"user ids":            func(e *expectation) { e.uid++ },
		"was not asked for":   func(e *expectation) { e.readOnly = nil },
		"namespace is shared": func(e *expectation) { e.outside = theirs },
	} {
		e := good
		bad(&e)
		if _, err := e.verify(b.Pid()); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	writable := expectation{readOnly: []string{"/"}}
	if err := writable.mounts(os.Getpid()); err == nil || !strings.Contains(err.Error(), "want ro") {
		t.Errorf("the host's mounts: %v", err)
	}
	f := expectation{level: LevelFiltered, uid: os.Geteuid()}
	if _, err := f.verify(z.Pid()); err == nil {
		t.Error("the zygote passes for a session")
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if err := (&family{z: z}).settle(spaces); err != nil {
		t.Errorf("namespaces of a session that was closed: %v", err)
	}
}
