//go:build linux

package sandbox

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"testing"
	"time"
)

// forkCode is what a worker does when it is asked to fork. The child goes on
// in the same loop, with another socket.
const forkCode = "import os\nwhile True:\n    try: os.waitpid(-1, os.WNOHANG)\n    except ChildProcessError: break\n    else: break\nif os.fork() == 0: os.setsid()"

// tryFork forks a session by running code in it.
func tryFork(t testing.TB, b *box, code string) (Process, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	f, ok := b.Process.(Forker)
	if !ok {
		t.Fatal("no Forker")
	}
	return f.Fork(ctx, func() error {
		a, err := ask(b.Conn(), code)
		if err == nil && a.Err != "" {
			err = errors.New(a.Err)
		}
		return err
	})
}

// liveFork forks a session, and takes the child's answer to the code.
func liveFork(t testing.TB, b *box) *box {
	t.Helper()
	p, err := tryFork(t, b, forkCode)
	if err != nil {
		t.Fatalf("Fork: %v; the session wrote %s", err, b.written)
	}
	child := &box{Process: p, written: &tail{}, drained: make(chan struct{})}
	go func() {
		defer close(child.drained)
		io.Copy(child.written, p.Output())
	}()
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		<-child.drained
	})
	var head [4]byte
	if _, err := io.ReadFull(p.Conn(), head[:]); err != nil {
		t.Fatalf("the child does not answer: %v", err)
	}
	if a, err := readJSON[answer](p.Conn(), binary.LittleEndian.Uint32(head[:]), 1<<20); err != nil || a.Err != "" {
		t.Fatalf("the child: %+v, %v", a, err)
	}
	return child
}

func TestLiveFork(t *testing.T) {
	z := start(t, Config{Level: LevelNamespaces})
	b := fork(t, z, SessionConfig{})
	b.run(t, "x = [1]")
	c := liveFork(t, b)
	d := liveFork(t, c) // of a fork
	for i, f := range []*box{b, c, d} {
		f.run(t, "x.append("+string(rune('7'+i))+")")
	}
	for i, f := range []*box{b, c, d} {
		if got, want := f.run(t, "print(x)"), "[1, "+string(rune('7'+i))+"]\n"; got != want {
			t.Errorf("process %d: %q, want %q", i, got, want)
		}
	}
	if got := c.Report().String(); got != b.Report().String() {
		t.Errorf("the fork is not what its origin is:\n%s\n%s", got, b.Report())
	}
}
