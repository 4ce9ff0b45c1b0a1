//go:build linux

package python

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/strandsgo/strands"
	"github.com/strandsgo/strands/internal/sandbox"
)

func sandboxed(t *testing.T, b *Sandboxed) *Sandboxed {
	t.Helper()
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

func TestRequire(t *testing.T) {
	s, err := sandboxed(t, &Sandboxed{Require: Isolation{Network: "none", Kernel: "allowlist", Landlock: 1}}).Open(t.Context(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if i, ok := IsolationOf(s); !ok || i.Network != "none" {
		t.Errorf("%v %s", ok, i)
	}
	for _, c := range []struct {
		b    *Sandboxed
		o    Options
		want []string
	}{
		{&Sandboxed{Level: LevelFiltered, Require: Isolation{Disk: "quota", FileMetadata: "hidden"}}, Options{},
			[]string{"disk is per-file, quota is required (level filtered was asked for)", "file_metadata is visible"}},
		{&Sandboxed{Level: LevelFiltered, Require: Isolation{Level: LevelNamespaces}}, Options{}, []string{"level is filtered, namespaces is required"}},
		{&Sandboxed{Require: Isolation{Memory: "rlimit"}}, Options{Limits: Limits{Memory: -1}},
			[]string{"memory is none, rlimit is required (the limit is switched off)"}},
		{&Sandboxed{Require: Isolation{Landlock: 1000}}, Options{}, []string{"landlock is ", "1000 is required"}},
		{&Sandboxed{Processes: true, Require: Isolation{Processes: "none"}}, Options{}, []string{"processes is contained, none is required"}},
	} {
		s, err := sandboxed(t, c.b).Open(t.Context(), c.o)
		if s != nil {
			s.Close()
		}
		e, ok := errors.AsType[*IsolationError](err)
		if !ok {
			t.Errorf("%+v: %v, want an IsolationError", c.b.Require, err)
			continue
		}
		for _, want := range c.want {
			if !strings.Contains(e.Error(), want) {
				t.Errorf("%q misses %q", e, want)
			}
		}
	}
	for _, b := range []*Sandboxed{{Level: "strong"}, {Level: LevelNone}, {Processes: true, Level: LevelFiltered}, {Require: Isolation{Level: LevelNone}}, {Require: Isolation{Disk: "x"}}} {
		_, err := sandboxed(t, b).Open(t.Context(), Options{})
		if _, ok := errors.AsType[*strands.InputError](err); !ok {
			t.Errorf("%q %+v: %v, want an InputError", b.Level, b.Require, err)
		}
	}
}

// inputs makes a folder outside /tmp, which is a session's own.
func inputs(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/var/tmp", "python-inputs-*")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := errors.Join(os.Chmod(dir, 0o755), os.WriteFile(filepath.Join(dir, "a.csv"), []byte("1,2\n"), 0o644)); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestBinds(t *testing.T) {
	dir := inputs(t)
	for _, c := range []struct {
		i    Interpreter
		bind Bind
		path string
	}{
		{&Sandboxed{Level: LevelNamespaces}, Bind{Source: dir}, "/mnt/" + filepath.Base(dir)},
		{&Sandboxed{Level: LevelNamespaces}, Bind{Source: dir, Target: "/mnt/in/puts"}, "/mnt/in/puts"},
		{&Sandboxed{Level: LevelFiltered}, Bind{Source: dir}, dir},
		{&Exec{}, Bind{Source: dir}, dir},
	} {
		t.Cleanup(func() { c.i.Close() })
		s, err := c.i.Open(t.Context(), Options{Binds: []Bind{c.bind}, Limits: Limits{Disk: 1 << 20}})
		if err != nil {
			t.Fatal(err)
		}
		if res := mustExec(t, s, "print(open("+quote(c.path+"/a.csv")+").read())"); res.Stdout != "1,2\n\n" {
			t.Errorf("%T: %+v", c.i, res)
		}
		// What the program puts there later can be seen, whatever its size.
		late := filepath.Join(dir, "late")
		if err := errors.Join(os.WriteFile(late, make([]byte, 2<<20), 0o644), os.Chmod(late, 0o644)); err != nil {
			t.Fatal(err)
		}
		if res := mustExec(t, s, "len(open("+quote(c.path+"/late")+", 'rb').read())"); res.Value != "2097152" {
			t.Errorf("%T: %+v", c.i, res)
		}
		if _, confined := c.i.(*Sandboxed); !confined {
			continue
		}
		if res := mustExec(t, s, "open("+quote(c.path+"/mine")+", 'w')"); res.Err == nil {
			t.Error("the session writes into it")
		}
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() == 0 {
		_, err := sandboxed(t, &Sandboxed{}).Open(t.Context(), Options{Binds: []Bind{{Source: dir}}})
		if err == nil || !strings.Contains(err.Error(), "chmod it o+rX") {
			t.Errorf("a folder that the session cannot read: %v", err)
		}
	}
	e := &Exec{}
	defer e.Close()
	if _, err := e.Open(t.Context(), Options{Binds: []Bind{{Source: dir, Target: "/mnt/x"}}}); err == nil {
		t.Error("an unconfined session took a target")
	}
}

func quote(s string) string { return `"` + s + `"` }

// TestProcesses runs shell commands, and writes and runs a script.
func TestProcesses(t *testing.T) {
	b := sandboxed(t, &Sandboxed{Processes: true})
	s, err := b.Open(t.Context(), Options{Libraries: []string{"*"}})
	if err != nil {
		t.Fatal(err)
	}
	if i, ok := IsolationOf(s); !ok || i.Processes != "contained" {
		t.Errorf("%v %s", ok, i)
	}
	res := mustExec(t, s, `
import subprocess
open("f.txt", "w").write("b\na\n")
print(subprocess.run("sort f.txt | tr a-z A-Z; ls; echo $HOME; exit 3", shell=True, capture_output=True, text=True))`)
	if res.Err != nil || !strings.Contains(res.Stdout, `returncode=3, stdout='A\nB\nf.txt\n/tmp\n'`) {
		t.Errorf("%+v", res)
	}
	for _, code := range []string{"cat /etc/shadow", "ls " + t.TempDir(), "mount -t tmpfs x /mnt", "touch /usr/bin/mine"} {
		res := mustExec(t, s, "subprocess.run("+quote(code)+", shell=True, capture_output=True).returncode")
		if res.Value == "0" || res.Err != nil {
			t.Errorf("%s: %+v", code, res)
		}
	}
	plain, err := sandboxed(t, &Sandboxed{}).Open(t.Context(), Options{Libraries: []string{"*"}})
	if err != nil {
		t.Fatal(err)
	}
	if res := mustExec(t, plain, "import subprocess; subprocess.run('true', shell=True)"); res.Err == nil || res.Err.Type != "PermissionError" {
		t.Errorf("without Processes: %+v", res)
	}
}

// looked tells when somebody asks how long to wait.
type looked struct {
	context.Context
	at chan struct{}
}

func (l looked) Done() <-chan struct{} {
	select {
	case l.at <- struct{}{}:
	default:
	}
	return l.Context.Done()
}

// TestAStrangersEndIsNotOurs: who waits for a warm process that another call
// starts does not get the reason why that call was stopped.
func TestAStrangersEndIsNotOurs(t *testing.T) {
	stranger := errors.New("another user went away")
	p := &parent{started: make(chan struct{}), err: stranger, stopped: true}
	close(p.started)
	b := sandboxed(t, &Sandboxed{Logger: slog.New(slog.DiscardHandler), parents: map[string]*parent{"key": p}})
	told, at := make(chan error), make(chan struct{}, 1)
	go func() {
		_, err := b.parent(looked{t.Context(), at}, "key", sandbox.Python{Exe: "/no/python"}, nil, Limits{})
		told <- err
	}()
	<-at
	b.forgetParent("key", p)
	if err := <-told; err == nil || errors.Is(err, stranger) {
		t.Errorf("who waited got %v", err)
	}
}
