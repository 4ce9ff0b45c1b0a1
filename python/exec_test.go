package python

import (
	"context"
	"io"
	"strings"
	"testing"
)

func openExec(t testing.TB, o Options) Session {
	t.Helper()
	e := &Exec{}
	t.Cleanup(func() { e.Close() })
	s, err := e.Open(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestExecSmoke(t *testing.T) {
	s := openExec(t, Options{})
	res := mustExec(t, s, "x = 6\nprint('hi')\nx * 7")
	if res.Stdout != "hi\n" || res.Value != "42" || res.Err != nil {
		t.Fatalf("%+v", res)
	}
}

// TestAFileThatIsTooLarge: one that takes no room, such as a map of memory that
// is mostly empty, can be larger than the disk. It is an error and no more.
func TestAFileThatIsTooLarge(t *testing.T) {
	s := openExec(t, Options{Limits: Limits{Disk: 1 << 20}})
	res := mustExec(t, s, "x = 1\nwith open('sparse', 'wb') as f: f.truncate(3 << 20)\nwith open('fits', 'wb') as f: f.truncate(1 << 20)")
	if len(res.Files) != 2 {
		t.Fatalf("%+v", res)
	}
	if _, err := s.(Filer).ReadFile(t.Context(), "sparse"); err == nil || !strings.Contains(err.Error(), "it has 3145728 bytes, and at most 1048576") {
		t.Errorf("reading it: %v", err)
	}
	r, err := s.(Filer).ReadFile(t.Context(), "fits")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if n, err := io.Copy(io.Discard, r); n != 1<<20 || err != nil {
		t.Errorf("what fits has %d bytes, %v", n, err)
	}
	if res := mustExec(t, s, "x"); res.Value != "1" {
		t.Errorf("the state is lost: %+v", res)
	}
}

func TestSandboxedSmoke(t *testing.T) {
	b := &Sandboxed{}
	t.Cleanup(func() { b.Close() })
	s, err := b.Open(t.Context(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	res := mustExec(t, s, "x = 6\nprint('hi')\nx * 7")
	if res.Stdout != "hi\n" || res.Value != "42" || res.Err != nil {
		t.Fatalf("%+v", res)
	}
	rep, _ := IsolationOf(s)
	t.Log(rep.String())
}
