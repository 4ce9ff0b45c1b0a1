//go:build linux

package sandbox

import (
	"strings"
	"testing"
)

func TestSession(t *testing.T) {
	levels(t, func(t *testing.T, level Level) {
		z := start(t, Config{Level: level})
		b := fork(t, z, SessionConfig{})
		t.Log(b.Report())
		if got := b.Report().Level; got != level {
			t.Fatalf("level %q, want %q", got, level)
		}
		b.run(t, "x = 20")
		if got := b.run(t, "print(x + 1)"); got != "21\n" {
			t.Errorf("state is not kept: %q", got)
		}
		other := fork(t, z, SessionConfig{})
		if a, err := ask(other.Conn(), "x"); err != nil || !strings.HasPrefix(a.Err, "NameError") {
			t.Errorf("another session knows x: %+v, %v", a, err)
		}
	})
}
