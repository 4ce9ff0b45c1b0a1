package python

import (
	"context"
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
