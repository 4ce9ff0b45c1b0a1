//go:build linux

package sandbox

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// TestWhatIsImportedIsShared: nobody counts references to what was there
// before the session, so that looking at it copies no memory. Before that,
// looking at a module dirtied its pages.
func TestWhatIsImportedIsShared(t *testing.T) {
	py := shelf(t, map[string]string{"stock": "class Apple:\n    def weigh(self):\n        return (1.5, 'kg')\nbasket = {'red': [Apple() for _ in range(50)]}\n"})
	const look = `import sys
import stock
def own(): pass
def told(*things): return [sys._is_immortal(t) for t in things] if hasattr(sys, "_is_immortal") else [True] * 4 + [False]
print(*told(stock.Apple, stock.Apple.weigh, stock.Apple.weigh.__code__.co_consts, stock.basket["red"][7], own))`
	levels(t, func(t *testing.T, level Level) {
		z := start(t, Config{Python: py, Level: level, Preload: []string{"stock"}})
		b := fork(t, z, SessionConfig{})
		want := "True True True True False\n"
		if got := b.run(t, look); got != want {
			t.Errorf("shared: %q, want %q", got, want)
		}
		// What a session takes away, and what it makes, is collected as ever.
		if got := b.run(t, "import gc, weakref\nclass Node: pass\nn = Node(); n.me = n; gone = weakref.ref(n)\n"+
			"stock.basket.clear(); del n; gc.collect(); print(gone(), len(stock.basket))"); got != "None 0\n" {
			t.Errorf("after a collection: %q", got)
		}
		if got := fork(t, z, SessionConfig{}).run(t, "import stock; print(len(stock.basket['red']))"); got != "50\n" {
			t.Errorf("another session sees %q", got)
		}
	})
}

// TestSharedInAPause: without modules to preload the first session does not
// wait for it; one that is opened a little later has it.
func TestSharedInAPause(t *testing.T) {
	z := start(t, Config{})
	for end := time.Now().Add(time.Minute); ; {
		p, err := z.Fork(t.Context(), SessionConfig{})
		if err != nil {
			t.Fatal(err)
		}
		a, err := ask(p.Conn(), "import json, sys; print(not hasattr(sys, '_is_immortal') or sys._is_immortal(json.dumps))")
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
		switch {
		case err != nil || a.Err != "":
			t.Fatalf("%+v, %v", a, err)
		case a.Out == "True\n":
			return
		case time.Now().After(end):
			t.Fatal("nothing is shared")
		}
		time.Sleep(100 * time.Millisecond) // twice the pause that is waited for
	}
}

// TestEachSessionHasItsOwnNamespaces: those that are made in advance are given
// to one session each.
func TestEachSessionHasItsOwnNamespaces(t *testing.T) {
	z := start(t, Config{Level: LevelNamespaces})
	seen := map[string]string{}
	for i := range 4 {
		b := fork(t, z, SessionConfig{})
		for _, kind := range sessionNamespaces {
			ns := namespaceOf(b.Pid(), kind)
			if other := seen[ns]; ns == "" || other != "" {
				t.Errorf("session %d: its %s namespace %s is also that of %s", i, kind, ns, other)
			}
			seen[ns] = fmt.Sprintf("session %d (%s)", i, kind)
		}
	}
}

// TestSessionIsInItsCgroup: in one of its own, of each controller.
func TestSessionIsInItsCgroup(t *testing.T) {
	z := start(t, Config{})
	if z.Report().Memory != "cgroup" {
		t.Skipf("no writable cgroup here: %s", z.Report())
	}
	for range 2 { // the second is no spare one
		s := fork(t, z, SessionConfig{}).Process.(*session)
		data, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", s.Pid()))
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Count(string(data), fmt.Sprintf("/s%d\n", s.id)); got != len(s.group.folders()) {
			t.Errorf("it is in %d of its %d groups:\n%s", got, len(s.group.folders()), data)
		}
		if doors := s.group.doors(); !s.group.v2 && len(doors) != len(s.group.folders()) {
			t.Errorf("%d doors to %d groups", len(doors), len(s.group.folders()))
		} else {
			for _, d := range doors {
				d.Close()
			}
		}
	}
}
