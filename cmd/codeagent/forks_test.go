package main_test

import (
	"strings"
	"testing"
)

func session(t *testing.T, flags []string, lines ...string) []string {
	t.Helper()
	r := call{args: append([]string{"exec", "--session"}, flags...), stdin: strings.Join(lines, "\n") + "\n"}.run(t)
	answers := strings.Split(strings.TrimSpace(r.stdout), "\n")
	if r.code != 0 || len(answers) != len(lines) {
		t.Fatalf("exit code %d, %d answers:\n%s\n%s", r.code, len(answers), r.stdout, r.stderr)
	}
	return answers
}

func TestExecSessionForks(t *testing.T) {
	type exchange struct{ line, want string }
	run := func(flags []string, exchanges ...exchange) {
		t.Helper()
		var lines []string
		for _, e := range exchanges {
			lines = append(lines, e.line)
		}
		for i, answer := range session(t, flags, lines...) {
			if !strings.Contains(answer, exchanges[i].want) {
				t.Errorf("%s\nis answered by %s\nwant %s", lines[i], answer, exchanges[i].want)
			}
		}
	}
	if is := session(t, nil, `{"fork": true}`)[0]; strings.Contains(is, "level namespaces") {
		t.Skipf("sessions cannot be forked here: %s", is)
	}
	run(nil,
		exchange{`{"code": "x = [1]"}`, `"error":null`},
		exchange{`{"fork": true}`, `{"fork":"f1"}`},
		exchange{`{"session": "f1", "fork": true}`, `{"fork":"f2"}`},
		exchange{`{"session": "f1", "code": "x.append(2); x"}`, `"value":"[1, 2]"`},
		exchange{`{"session": "f2", "code": "x"}`, `"value":"[1]"`},
		exchange{`{"session": "f1", "close": true}`, `{"close":true}`},
		exchange{`{"session": "f1", "code": "x"}`, `there is no session \"f1\"`},
		exchange{`{"session": "f2", "reset": true}`, `{"reset":true}`},
		exchange{`{"code": "x"}`, `"value":"[1]"`},
		exchange{`{"close": true}`, `RequestError`},
		exchange{`{"undo": true}`, `start exec with --undo`},
		exchange{`{"undo": true, "fork": true}`, `RequestError`},
	)
	run([]string{"--undo"},
		exchange{`{"code": "x = [1]"}`, `"error":null`},
		exchange{`{"code": "x.clear(); open('a', 'w').close()"}`, `"error":null`},
		exchange{`{"undo": true}`, `"files_changed":["a"]`},
		exchange{`{"code": "x"}`, `"value":"[1]"`},
		exchange{`{"reset": true}`, `{"reset":true}`},
		exchange{`{"undo": true}`, `RequestError`},
	)
	run([]string{"--atomic"},
		exchange{`{"code": "x = [1]"}`, `"error":null`},
		exchange{`{"code": "x.clear(); 1/0"}`, `rolled back`},
		exchange{`{"code": "x"}`, `"value":"[1]"`},
	)
	run([]string{"--isolation", "filtered"}, exchange{`{"fork": true}`, "needs level namespaces"})
	run([]string{"--isolation", "none"}, exchange{`{"fork": true}`, "Sandboxed backend"})
	if r := (call{args: []string{"exec", "--undo", "-c", "1"}}).run(t); r.code != 2 || !strings.Contains(r.stderr, "--session") {
		t.Errorf("exit code %d, %s", r.code, r.stderr)
	}
}
