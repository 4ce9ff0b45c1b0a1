package javascript_test

import (
	"bufio"
	"encoding/json"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/strandsgo/strands/agentcore/javascript"
)

// cells runs requests in one context.
type cells struct {
	t   *testing.T
	in  *json.Encoder
	out *bufio.Reader
}

func newCells(t *testing.T) *cells {
	t.Helper()
	t.Chdir(t.TempDir())
	inR, inW := io.Pipe()
	outR, outW := io.Pipe()
	done := make(chan error, 1)
	go func() { done <- javascript.Serve(inR, outW) }()
	t.Cleanup(func() {
		inW.Close()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return &cells{t, json.NewEncoder(inW), bufio.NewReader(outR)}
}

func (c *cells) send(r javascript.Request) {
	c.t.Helper()
	if r.Memory == 0 {
		r.Memory = 64 << 20
	}
	if err := c.in.Encode(r); err != nil {
		c.t.Fatal(err)
	}
}

func (c *cells) receive() javascript.Reply {
	c.t.Helper()
	line, err := c.out.ReadBytes('\n')
	if err != nil {
		c.t.Error(err)
	}
	var r javascript.Reply
	if err := json.Unmarshal(line, &r); err != nil {
		c.t.Error(err)
	}
	return r
}

func (c *cells) run(code string) javascript.Reply {
	c.t.Helper()
	c.send(javascript.Request{Code: code})
	return c.receive()
}

// prints runs what must succeed.
func (c *cells) prints(code string) string {
	c.t.Helper()
	r := c.run(code)
	if r.ExitCode != 0 || r.Stderr != "" {
		c.t.Errorf("%s: exit %d, stderr %q", code, r.ExitCode, r.Stderr)
	}
	return r.Stdout
}

func TestStateLasts(t *testing.T) {
	c := newCells(t)
	c.prints("const a = 1; let b = 2; class K { f() { return 40 } }\nfunction g() { return a + b }")
	if got := c.prints("console.log(a + b, new K().f(), g())"); got != "3 40 3\n" {
		t.Errorf("got %q", got)
	}
	c.prints("const a = 5; class K { f() { return 41 } }")
	if got := c.prints("console.log(a, new K().f(), g())"); got != "5 41 7\n" {
		t.Errorf("declared anew: got %q", got)
	}
	c.prints("import fs, { existsSync as there } from 'node:fs'; import * as path from 'path'; export const shown = 3")
	if got := c.prints("fs.writeFileSync('x.txt', 'hö'); console.log(there('x.txt'), fs.readFileSync('x.txt', 'utf8'), path.join('a', '../b'), shown)"); got != "true hö b 3\n" {
		t.Errorf("modules: got %q", got)
	}
}

func TestPrinting(t *testing.T) {
	c := newCells(t)
	for code, want := range map[string]string{
		"console.log('a', 1, null, undefined, 2n, true)":                         "a 1 null undefined 2n true",
		"console.log([1, 'x', [2]], {a: {b: 'q'}, 'c-d': 1})":                    `[ 1, "x", [ 2 ] ] { a: { b: "q" }, "c-d": 1 }`,
		"console.log(new Map([[1, {x: 2}]]), new Set(['a']))":                    `Map(1) { 1 => { x: 2 } } Set(1) { "a" }`,
		"const o = {}; o.self = o; console.log(o)":                               "{ self: [Circular *1] }",
		"console.log('%s is %d', 'x', 3, 'more')":                                "x is 3 more",
		"console.log(() => 1, class Q {}, Symbol('s'))":                          "[Function: (anonymous)] [class Q] Symbol(s)",
		"console.log(`line\nlet q = ${1 + 1}`)":                                  "line\nlet q = 2",
		"console.log('\u2028\u0000😀')":                                           "\u2028\x00😀",
		"console.log(new Uint8Array([1, 2]), btoa('hi'), atob('aGk='))":          "Uint8Array(2) [ 1, 2 ] aGk= hi",
		"console.log(new TextDecoder().decode(new TextEncoder().encode('ä€😀')))": "ä€😀",
		"console.log(structuredClone({a: new Map([[1, [2]]])}))":                 "{ a: Map(1) { 1 => [ 2 ] } }",
	} {
		if got := strings.TrimSuffix(c.prints(code), "\n"); got != want {
			t.Errorf("%s\n got %q\nwant %q", code, got, want)
		}
	}
}

func TestPromisesAndTimers(t *testing.T) {
	c := newCells(t)
	got := c.prints(`
setTimeout(() => console.log("late"), 30);
setTimeout(() => console.log("soon"), 1);
const v = await new Promise((r) => setTimeout(() => r(7), 5));
console.log("awaited", v);
let n = 0;
const id = setInterval(() => { if (++n === 3) { clearInterval(id); console.log("thrice"); } }, 1);`)
	for _, line := range []string{"soon\n", "awaited 7\n", "thrice\n", "late\n"} {
		if !strings.Contains(got, line) {
			t.Errorf("%q is missing in %q", line, got)
		}
	}
	if r := c.run("await new Promise(() => {})"); r.ExitCode != 1 || !strings.Contains(r.Stderr, "nothing will ever settle") {
		t.Errorf("a promise without an end: %+v", r)
	}
}

func TestTypeScript(t *testing.T) {
	c := newCells(t)
	c.send(javascript.Request{Typed: true, Code: `
interface P { x: number }
enum Color { Red, Green }
class Box<T> { constructor(private v: T) {} get(): T { return this.v } }
const p: P = { x: 1 };
console.log(p!.x, Color[1], new Box<string>("b").get(), <any>3 as number);
type Alias = P | null;`})
	if r := c.receive(); r.Stdout != "1 Green b 3\n" {
		t.Errorf("got %+v", r)
	}
	if got := c.prints("console.log(p.x, Color.Red)"); got != "1 0\n" {
		t.Errorf("JavaScript sees %q of it", got)
	}
}

func TestFailures(t *testing.T) {
	c := newCells(t)
	for code, want := range map[string]string{
		"console.log(1); throw new TypeError('no')": "Uncaught TypeError: no",
		"await Promise.reject(new Error('r'))":      "Uncaught Error: r",
		"setTimeout(() => { nothing() })":           "'nothing' is not defined",
		"a b":                                       "SyntaxError: Expected \";\" but found \"b\"\n    at <cell",
		"throw {code: 3}":                           "Uncaught { code: 3 }",
		"require('axios')":                          "there is no module",
		"import x from 'left-pad'":                  "there is no module",
		"(function f() { f() })()":                  "stack overflow",
		"fetch('http://x')":                         "'fetch' is not defined",
	} {
		if r := c.run(code); r.ExitCode != 1 || !strings.Contains(r.Stderr, want) {
			t.Errorf("%s: %+v, want %q", code, r, want)
		}
	}
	if r := c.run("console.log('kept'); process.exit(3); console.log('not')"); r.ExitCode != 3 || r.Stdout != "kept\n" || r.Stderr != "" {
		t.Errorf("exit: %+v", r)
	}
	if r := c.run("try { Deno.exit(4) } catch { console.log('caught') } finally { console.log('finally') }"); r.ExitCode != 4 || r.Stdout != "" {
		t.Errorf("exit is caught: %+v", r)
	}
	if got := c.prints("console.log('alive')"); got != "alive\n" {
		t.Errorf("afterwards: %q", got)
	}
}

func TestMemoryIsBounded(t *testing.T) {
	c := newCells(t)
	c.prints("var kept = 1")
	if r := c.run("var x = []; for (;;) x.push(new Array(1000).fill(7))"); r.ExitCode != 1 || !strings.Contains(r.Stderr, "out of memory") {
		t.Errorf("an endless array: %+v", r)
	}
	if r := c.run("let s = []; for (;;) s.push(new ArrayBuffer(10 << 20))"); r.ExitCode != 1 {
		t.Errorf("endless buffers: %+v", r)
	}
	if got := c.prints("console.log('alive')"); got != "alive\n" {
		t.Errorf("afterwards: %q", got)
	}
}

func TestInterruptKeepsTheState(t *testing.T) {
	c := newCells(t)
	c.prints("var kept = 9")
	self, err := os.FindProcess(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	for _, code := range []string{
		"begun(); for (;;) {}",
		"begun(); for (;;) { try { for (;;); } catch {} finally { for (;;); } }",
		"begun(); await new Promise((r) => setTimeout(r, 1e6))",
		"begun(); /^(a+)+$/.test('a'.repeat(50) + 'b')",
	} {
		if r := c.interrupted(code, self); r.ExitCode != 1 || !strings.Contains(r.Stderr, "interrupted") || r.Lost {
			t.Errorf("%s: %+v", code, r)
		}
	}
	if got := c.prints("console.log(kept)"); got != "9\n" {
		t.Errorf("the state: %q", got)
	}
	// What never stops by itself cannot be kept. An interrupt that comes amid a
	// step ends that chain, and no other.
	const endless = "let steps = 0; const loop = () => { if (++steps === 1000) begun(); return Promise.resolve().then(loop) }; loop(); loop(); await loop()"
	if r := c.interrupted(endless, self); r.ExitCode != 1 || !r.Lost {
		t.Errorf("endless promises: %+v", r)
	}
	if got := c.prints("console.log(typeof kept)"); got != "undefined\n" {
		t.Errorf("the state: %q", got)
	}
}

// interrupted runs code that does not end by itself, once it calls begun. There is one signal for
// each: a second one might meet the script that follows.
func (c *cells) interrupted(code string, self *os.Process) javascript.Reply {
	c.t.Helper()
	c.send(javascript.Request{Code: "var begun = () => require('fs').writeFileSync('begun', ''); " + code})
	for deadline := time.Now().Add(time.Minute); os.Remove("begun") != nil; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			c.t.Fatalf("%s has not begun", code)
		}
	}
	if err := self.Signal(os.Interrupt); err != nil {
		c.t.Fatal(err)
	}
	return c.receive()
}
