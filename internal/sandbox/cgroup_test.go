//go:build linux

package sandbox

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// tree makes a folder with files that stand for a hierarchy of version 2.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func content(t *testing.T, path ...string) string {
	t.Helper()
	os.Chmod(filepath.Join(path...), 0o600) // the kernel makes such files itself
	data, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// TestCgroupVersion2 goes through what is written where, in a folder that
// stands for a delegated group: machines with version 1 have none.
func TestCgroupVersion2(t *testing.T) {
	top := tree(t, map[string]string{
		"cgroup.subtree_control":              "cpu memory pids\n",
		"user/cgroup.subtree_control":         "memory pids\n",
		"user/program/cgroup.subtree_control": "\n", // holds processes: it can have none
	})
	g := &cgroups{name: "strands-test"}
	g.find([]cgroupMount{{dir: filepath.Join(top, "user", "program"), top: top, v2: true}})
	group := filepath.Join(top, "user", "strands-test")
	if !g.v2 || g.memory != group || g.pids != group || len(g.missing) > 0 {
		t.Fatalf("%+v", g)
	}
	if _, err := os.Stat(group); err == nil {
		t.Error("the group is there before the one who removes it")
	}
	g.make()
	if got := content(t, group, "cgroup.subtree_control"); got != "+memory +pids" {
		t.Errorf("enabled: %q", got)
	}
	c, err := g.session(7, Limits{Memory: 1000, Disk: 24, Threads: 5})
	if err == nil {
		err = c.enter(4242)
	}
	if err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{"memory.max": "1024", "memory.swap.max": "0", "pids.max": "6", "cgroup.procs": "4242"} {
		if got := content(t, group, "s7", file); got != want {
			t.Errorf("%s: %q, want %q", file, got, want)
		}
	}
	for events, want := range map[string]bool{"low 0\noom 3\noom_kill 0\n": false, "oom 1\noom_kill 1\noom_group_kill 0\n": true, "": false} {
		if err := os.WriteFile(filepath.Join(group, "s7", "memory.events"), []byte(events), 0o644); err != nil {
			t.Fatal(err)
		}
		if got := c.outOfMemory(); got != want {
			t.Errorf("memory.events %q: %v", events, got)
		}
	}
	unlimited, err := g.session(8, Limits{Memory: -1, Threads: -1})
	if err != nil || unlimited.memory != "" || unlimited.pids != "" {
		t.Errorf("%+v, %v", unlimited, err)
	}
	parents, err := g.parents()
	if err != nil || len(parents) != 1 || parents[0].Name() != filepath.Join(top, "user") {
		t.Errorf("%v, %v", parents, err)
	}
	for _, f := range parents {
		f.Close()
	}
}

// TestCgroupNotDelegated: a reason is given, and nothing is made.
func TestCgroupNotDelegated(t *testing.T) {
	for name, files := range map[string]map[string]string{
		"not enabled for groups":   {"cgroup.subtree_control": "cpu\n", "program/cgroup.subtree_control": ""},
		"a container's only group": {"cgroup.subtree_control": ""},
	} {
		t.Run(name, func(t *testing.T) {
			top := tree(t, files)
			dir := top
			if len(files) > 1 {
				dir = filepath.Join(top, "program")
			}
			g := &cgroups{name: "strands-test"}
			g.find([]cgroupMount{{dir: dir, top: top, v2: true}})
			if g.memory != "" || len(g.missing) == 0 || !strings.HasPrefix(g.missing[0], "memory cgroup: ") {
				t.Errorf("%+v", g)
			}
			g.make()
			if found, _ := filepath.Glob(filepath.Join(top, "*", "strands-*")); len(found) > 0 {
				t.Errorf("made: %s", found)
			}
		})
	}
	if os.Geteuid() != 0 {
		top := tree(t, map[string]string{"cgroup.subtree_control": "memory\n"})
		if err := os.Chmod(top, 0o555); err != nil {
			t.Fatal(err)
		}
		g := &cgroups{name: "strands-test"}
		g.find([]cgroupMount{{dir: top, top: top, v2: true}})
		if g.memory != "" {
			t.Errorf("a group where none can be made: %+v", g)
		}
	}
}

// TestCgroupThatCannotBeMade: what was found and then is refused is a reason,
// not an error.
func TestCgroupThatCannotBeMade(t *testing.T) {
	g := &cgroups{name: "strands-test", v2: true, memory: filepath.Join(t.TempDir(), "gone", "strands-test")}
	g.make()
	if g.memory != "" || len(g.missing) != 1 {
		t.Errorf("%+v", g)
	}
	there := t.TempDir()
	g = &cgroups{name: "strands-test", memory: filepath.Join(there, "gone", "strands-test"), pids: filepath.Join(there, "strands-test")}
	g.make()
	if g.memory != "" || g.pids == "" || len(g.missing) != 1 {
		t.Errorf("version 1, one of two: %+v", g)
	}
}
