package agentcore_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/strandsgo/strands/agentcore"
)

// in is the input of an operation, or the arguments of a tool.
type in = map[string]any

// dialogue is one client's work with one server.
type dialogue struct {
	t      *testing.T
	c      client
	server *testServer
	boto   bool
}

// TestConformance runs the same cases with each of the real clients. The
// numbers are those of docs/agentcore.md.
func TestConformance(t *testing.T) {
	key := func(client string) agentcore.Key {
		return agentcore.Key{ID: "AKID" + client, Secret: "secret of " + client}
	}
	var keys []agentcore.Key // one each, so that none sees what another opens meanwhile
	for name := range clients {
		keys = append(keys, key(name))
	}
	server := newTestServer(t, agentcore.ServerConfig{Options: analysis, Keys: keys})
	for name, connect := range clients {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := connect(t, clientConfig{Endpoint: server.URL, Key: key(name).ID, Secret: key(name).Secret})
			for _, test := range conformance {
				t.Run(test.name, func(t *testing.T) {
					test.run(&dialogue{t, c, server, name == "boto3"})
				})
			}
		})
	}
}

var conformance = []struct {
	name string
	run  func(*dialogue)
}{
	{"01-start", (*dialogue).start01},
	{"02-name-and-timeout", (*dialogue).names02},
	{"05-client-token", (*dialogue).tokens05},
	{"08-unknown-interpreter", (*dialogue).unknown08},
	{"09-arn", (*dialogue).arn09},
	{"11-get", (*dialogue).get11},
	{"12-stop", (*dialogue).stop12},
	{"13-invoke-after-stop", (*dialogue).invoke13},
	{"14-time-to-live", (*dialogue).life14},
	{"15-list", (*dialogue).list15},
	{"17-sessions-are-apart", (*dialogue).apart17},
	{"18-happy-path", (*dialogue).happy18},
	{"22-24-arguments", (*dialogue).arguments22},
	{"25-crash", (*dialogue).crash25},
	{"29-large-result", (*dialogue).large29},
	{"31-38-python", (*dialogue).python31},
	{"36-clear-context", (*dialogue).clear36},
	{"37-javascript", (*dialogue).javascript37},
	{"38-unicode", (*dialogue).unicode38},
	{"39-figures", (*dialogue).figures39},
	{"40-memory", (*dialogue).memory40},
	{"41-commands", (*dialogue).commands41},
	{"42-44-tasks", (*dialogue).tasks42},
	{"45-47-files", (*dialogue).files45},
	{"48-paths", (*dialogue).paths48},
	{"49-51-directories", (*dialogue).directories49},
	{"53-request-id", (*dialogue).requestID53},
}

// --- steps

func (c *dialogue) call(op string, input in) *reply {
	c.t.Helper()
	if _, ok := input["codeInterpreterIdentifier"]; !ok {
		input["codeInterpreterIdentifier"] = agentcore.SystemInterpreter
	}
	return c.c.do(c.t, op, input)
}

func (c *dialogue) ok(op string, input in) map[string]any {
	c.t.Helper()
	r := c.call(op, input)
	if r.Error != nil {
		c.t.Fatalf("%s %v: %+v", op, input, *r.Error)
	}
	return r.Output
}

// fails expects an error before the stream.
func (c *dialogue) fails(op string, input in, status int, code string) *replyError {
	c.t.Helper()
	r := c.call(op, input)
	if r.Error == nil {
		c.t.Fatalf("%s %v: no error, but %v %v", op, input, r.Output, r.Events)
	}
	if r.Error.Status != status || r.Error.Code != code || r.Error.Stream || r.Error.Message == "" {
		c.t.Errorf("%s %v: %+v, want %d %s", op, input, *r.Error, status, code)
	}
	return r.Error
}

// session starts one that the end of the test stops.
func (c *dialogue) session() string {
	c.t.Helper()
	id := c.ok("StartCodeInterpreterSession", in{})["sessionId"].(string)
	c.t.Cleanup(func() { c.stop(id) })
	return id
}

func (c *dialogue) stop(id string) map[string]any {
	c.t.Helper()
	return c.ok("StopCodeInterpreterSession", in{"sessionId": id})
}

// ready counts the open sessions of the client's key, of which there are few.
func (c *dialogue) ready() int {
	c.t.Helper()
	return len(c.ok("ListCodeInterpreterSessions", in{"status": "READY", "maxResults": 100})["items"].([]any))
}

func (c *dialogue) get(id string) map[string]any {
	c.t.Helper()
	return c.ok("GetCodeInterpreterSession", in{"sessionId": id})
}

func (c *dialogue) invoke(id, tool string, args in) *reply {
	c.t.Helper()
	return c.call("InvokeCodeInterpreter", in{"sessionId": id, "name": tool, "arguments": args})
}

// result expects exactly one result.
func (c *dialogue) result(id, tool string, args in) result {
	c.t.Helper()
	r := c.invoke(id, tool, args)
	if r.Error != nil || len(r.Events) != 1 {
		c.t.Fatalf("%s %.300v: %d events, error %+v", tool, args, len(r.Events), r.Error)
	}
	return result{r.Events[0]}
}

func (c *dialogue) python(id, code string) result {
	c.t.Helper()
	return c.result(id, "executeCode", in{"language": "python", "code": code})
}

// result is the one event of a call.
type result struct{ fields map[string]any }

func (r result) failed() bool { return r.fields["isError"] == true }

func (r result) content() []map[string]any {
	var blocks []map[string]any
	list, _ := r.fields["content"].([]any)
	for _, b := range list {
		blocks = append(blocks, b.(map[string]any))
	}
	return blocks
}

func (r result) text() string {
	if blocks := r.content(); len(blocks) > 0 {
		s, _ := blocks[0]["text"].(string)
		return s
	}
	return ""
}

func (r result) structured(name string) any {
	s, _ := r.fields["structuredContent"].(map[string]any)
	return s[name]
}

func (r result) stdout() string { s, _ := r.structured("stdout").(string); return s }
func (r result) stderr() string { s, _ := r.structured("stderr").(string); return s }
func (r result) exitCode() int {
	if f, ok := r.structured("exitCode").(float64); ok {
		return int(f)
	}
	return -1
}

// --- sessions

var ulid = regexp.MustCompile(`^[0-9A-HJKMNP-TV-Z]{26}$`)

func (c *dialogue) start01() {
	out := c.ok("StartCodeInterpreterSession", in{})
	id := out["sessionId"].(string)
	defer c.stop(id)
	created, err := time.Parse(time.RFC3339, out["createdAt"].(string))
	if !ulid.MatchString(id) || err != nil || time.Since(created).Abs() > 10*time.Minute || out["codeInterpreterIdentifier"] != agentcore.SystemInterpreter {
		c.t.Errorf("started %v", out)
	}
	if got := c.get(id); got["sessionTimeoutSeconds"] != 900.0 || got["status"] != "READY" {
		c.t.Errorf("it is %v", got)
	}
}

func (c *dialogue) names02() {
	for _, seconds := range []int{60, 28800} {
		name := strings.Repeat("n", 100)
		id := c.ok("StartCodeInterpreterSession", in{"name": name, "sessionTimeoutSeconds": seconds})["sessionId"].(string)
		if got := c.get(id); got["name"] != name || got["sessionTimeoutSeconds"] != float64(seconds) {
			c.t.Errorf("it is %v", got)
		}
		c.stop(id)
	}
	for _, bad := range []in{{"sessionTimeoutSeconds": 28801}, {"name": strings.Repeat("n", 101)}} {
		if e := c.fails("StartCodeInterpreterSession", bad, 400, "ValidationException"); e.Reason != "FieldValidationFailed" {
			c.t.Errorf("%v: reason %q", bad, e.Reason)
		}
	}
}

func (c *dialogue) tokens05() {
	token := strings.Repeat("t", 30) + fmt.Sprint(time.Now().UnixNano())
	first := c.ok("StartCodeInterpreterSession", in{"clientToken": token})["sessionId"].(string)
	defer c.stop(first)
	open := c.ready()
	if again := c.ok("StartCodeInterpreterSession", in{"clientToken": token})["sessionId"]; again != first || c.ready() != open {
		c.t.Errorf("the token gave %v, then %v; %d sessions became %d", first, again, open, c.ready())
	}
	if e := c.fails("StartCodeInterpreterSession", in{"clientToken": token, "name": "other"}, 400, "ValidationException"); e.Reason != "IdempotentParameterMismatchException" {
		c.t.Errorf("reason %q", e.Reason)
	}
	for _, bad := range []string{strings.Repeat("t", 32), strings.Repeat("t", 40) + "_", "-" + strings.Repeat("t", 40)} {
		if c.boto && len(bad) < 33 {
			continue // boto3 itself refuses it
		}
		c.fails("StartCodeInterpreterSession", in{"clientToken": bad}, 400, "ValidationException")
	}
}

func (c *dialogue) unknown08() {
	c.fails("StartCodeInterpreterSession", in{"codeInterpreterIdentifier": "no-such-1234567890"}, 404, "ResourceNotFoundException")
}

func (c *dialogue) arn09() {
	arn := "arn:aws:bedrock-agentcore:us-west-2:aws:code-interpreter/" + agentcore.SystemInterpreter
	id := c.ok("StartCodeInterpreterSession", in{"codeInterpreterIdentifier": arn})["sessionId"].(string)
	defer c.stop(id)
	r := c.call("InvokeCodeInterpreter", in{"codeInterpreterIdentifier": arn, "sessionId": id, "name": "executeCode", "arguments": in{"code": "print(1)"}})
	if r.Error != nil || len(r.Events) != 1 {
		c.t.Errorf("by ARN: %+v", r)
	}
}

func (c *dialogue) get11() {
	id := c.session()
	if got := c.get(id); got["status"] != "READY" {
		c.t.Errorf("status %v", got["status"])
	}
	c.stop(id)
	if got := c.get(id); got["status"] != "TERMINATED" {
		c.t.Errorf("after the stop: status %v", got["status"])
	}
	c.fails("GetCodeInterpreterSession", in{"sessionId": "01K00Z3F8WZ9KBBW4QGRJCVBHH"}, 404, "ResourceNotFoundException")
	c.fails("GetCodeInterpreterSession", in{"sessionId": "with-hyphen"}, 400, "ValidationException")
	c.fails("GetCodeInterpreterSession", in{"sessionId": id, "codeInterpreterIdentifier": "other-abcdefghij"}, 404, "ResourceNotFoundException")
}

func (c *dialogue) stop12() {
	id := c.session()
	if r := c.result(id, "startCommandExecution", in{"command": "exec sleep 1000"}); r.structured("taskId") == nil {
		c.t.Fatalf("no task: %v", r.fields)
	}
	out := c.stop(id)
	for _, name := range []string{"codeInterpreterIdentifier", "sessionId", "lastUpdatedAt"} {
		if out[name] == nil {
			c.t.Errorf("stop does not tell %s", name)
		}
	}
	if again := c.stop(id); again["lastUpdatedAt"] != out["lastUpdatedAt"] {
		c.t.Errorf("a second stop changed something: %v, %v", out, again)
	}
	c.fails("StopCodeInterpreterSession", in{"sessionId": "nosuchsession"}, 404, "ResourceNotFoundException")
}

func (c *dialogue) invoke13() {
	id := c.session()
	c.stop(id)
	c.fails("InvokeCodeInterpreter", in{"sessionId": id, "name": "executeCode", "arguments": in{"code": "1"}}, 404, "ResourceNotFoundException")
}

func (c *dialogue) life14() {
	var id string
	// On a machine that stands still a session ends before the call comes: then
	// one that lives longer is tried.
	for seconds := 1; ; seconds *= 4 {
		id = c.ok("StartCodeInterpreterSession", in{"sessionTimeoutSeconds": seconds})["sessionId"].(string)
		r := c.invoke(id, "executeCode", in{"code": "import time\nwhile True: time.sleep(.01)"})
		if r.inStream("ResourceNotFoundException") && len(r.Events) == 0 {
			break
		}
		if seconds > 60 {
			c.t.Errorf("a call across the end of the session: %+v %v", r.Error, r.Events)
			break
		}
	}
	if got := c.get(id); got["status"] != "TERMINATED" {
		c.t.Errorf("status %v", got["status"])
	}
}

func (c *dialogue) list15() {
	var mine []string
	for range 3 {
		mine = append(mine, c.session())
	}
	c.stop(mine[0])
	seen := map[string]int{}
	input := in{"maxResults": 2, "status": "READY"}
	for page := 0; ; page++ {
		out := c.ok("ListCodeInterpreterSessions", input)
		items := out["items"].([]any)
		if len(items) > 2 {
			c.t.Fatalf("a page of %d", len(items))
		}
		for _, i := range items {
			item := i.(map[string]any)
			seen[item["sessionId"].(string)]++
			if item["status"] != "READY" || item["createdAt"] == nil || item["codeInterpreterIdentifier"] == nil {
				c.t.Errorf("an item %v", item)
			}
		}
		if page == 0 {
			c.session() // is not seen, and moves nothing
		}
		if out["nextToken"] == nil {
			break
		}
		input["nextToken"] = out["nextToken"]
	}
	if seen[mine[0]] != 0 || seen[mine[1]] != 1 || seen[mine[2]] != 1 {
		c.t.Errorf("seen %v of %v", seen, mine)
	}
	c.fails("ListCodeInterpreterSessions", in{"maxResults": 101}, 400, "ValidationException")
	c.fails("ListCodeInterpreterSessions", in{"nextToken": "bogus"}, 400, "ValidationException")
	c.fails("ListCodeInterpreterSessions", in{"status": "ACTIVE"}, 400, "ValidationException")
}

func (c *dialogue) apart17() {
	a, b := c.session(), c.session()
	c.python(a, "x = 1; open('f.txt', 'w').write('a')")
	r := c.python(b, "import os; print('x' in globals(), os.path.exists('f.txt'))")
	if r.stdout() != "False False" {
		c.t.Errorf("the other session sees %q", r.stdout())
	}
	if other := c.invoke(b, "readFiles", in{"paths": []string{"f.txt"}}); len(other.Events) != 1 || other.Events[0]["isError"] != true {
		c.t.Errorf("the other session reads %+v", other)
	}
}

// --- invocation

func (c *dialogue) happy18() {
	id := c.session()
	r := c.invoke(id, "executeCode", in{"language": "python", "code": "print(6*7)"})
	if r.Error != nil || len(r.Events) != 1 || r.Output["sessionId"] != id {
		c.t.Errorf("%+v", r)
	}
}

func (c *dialogue) arguments22() {
	id := c.session()
	for _, bad := range []in{
		{"name": "executeCode", "arguments": in{"code": "1"}}, // without a session
		{"sessionId": id, "name": "fly", "arguments": in{}},
		{"sessionId": id, "name": "executeCode"},
		{"sessionId": id, "name": "executeCode", "arguments": in{}},
		{"sessionId": id, "name": "executeCode", "arguments": in{"code": "1", "language": "cobol"}},
		{"sessionId": id, "name": "executeCode", "arguments": in{"code": "1", "language": "python", "runtime": "nodejs"}},
		{"sessionId": id, "name": "executeCode", "arguments": in{"code": "1", "language": "javascript", "runtime": "python"}},
		{"sessionId": id, "name": "executeCommand", "arguments": in{}},
		{"sessionId": id, "name": "startCommandExecution", "arguments": in{}},
		{"sessionId": id, "name": "getTask", "arguments": in{}},
		{"sessionId": id, "name": "readFiles", "arguments": in{}},
		{"sessionId": id, "name": "writeFiles", "arguments": in{"content": []any{}}},
		{"sessionId": id, "name": "writeFiles", "arguments": in{"content": []any{in{"path": "a"}}}},
		{"sessionId": id, "name": "writeFiles", "arguments": in{"content": []any{in{"path": "a", "text": "", "blob": []byte("x")}}}},
		{"sessionId": id, "name": "removeFiles", "arguments": in{"paths": []string{}}},
	} {
		c.fails("InvokeCodeInterpreter", bad, 400, "ValidationException")
	}
	if r := c.python(id, "print('usable')"); r.stdout() != "usable" {
		c.t.Errorf("afterwards: %v", r.fields)
	}
}

func (c *dialogue) crash25() {
	id := c.session()
	r := c.invoke(id, "executeCode", in{"code": "import ctypes; ctypes.string_at(0)"})
	if !r.inStream("InternalServerException") || !strings.Contains(r.Error.Message, "SIGSEGV") {
		c.t.Errorf("a crash: %+v %v", r.Error, r.Events)
	}
	if r := c.python(id, "print('fresh')"); r.stdout() != "fresh" {
		c.t.Errorf("afterwards: %v", r.fields)
	}
}

func (c *dialogue) large29() {
	id := c.session()
	c.python(id, "import os; open('big.bin', 'wb').write(b'\\xff' + os.urandom(20_000_000))")
	r := c.result(id, "readFiles", in{"paths": []string{"big.bin"}})
	switch {
	case c.boto && (!r.failed() || !strings.Contains(r.text(), "24 MiB")):
		c.t.Errorf("boto3 is not told: %.200s", r.text())
	case !c.boto && len(r.file("big.bin")) != 20_000_001:
		c.t.Errorf("%d bytes", len(r.file("big.bin")))
	}
	// Small files together may be more than a frame of boto3's.
	c.python(id, "for i in range(4): open(f'part{i}.bin', 'wb').write(b'\\xff' + os.urandom(8_000_000))")
	many := c.invoke(id, "readFiles", in{"paths": []string{"part0.bin", "part1.bin", "part2.bin", "part3.bin"}})
	total := 0
	for _, e := range many.Events {
		for _, b := range (result{e}).content() {
			total += len(fileOf(b))
		}
	}
	if many.Error != nil || total != 4*8_000_001 {
		c.t.Errorf("%d bytes of four files in %d events, error %+v", total, len(many.Events), many.Error)
	}
}

// file returns the contents of a file in a result.
func (r result) file(name string) []byte {
	for _, b := range r.content() {
		if res, ok := b["resource"].(map[string]any); ok && res["uri"] == "file:///"+name {
			return fileOf(b)
		}
	}
	return nil
}

func fileOf(b map[string]any) []byte {
	res, _ := b["resource"].(map[string]any)
	if text, ok := res["text"].(string); ok {
		return []byte(text)
	}
	blob, _ := res["blob"].(string)
	data, _ := base64.StdEncoding.DecodeString(blob)
	return data
}

// --- executeCode

func (c *dialogue) python31() {
	id := c.session()
	for _, test := range []struct {
		code, stdout, stderr string // what they are, or hold
		exit                 int
	}{
		{"print('hi')", "hi", "", 0},
		{"x = 1", "", "", 0},
		{"print(x)", "1", "", 0},
		{"x + 41", "42", "", 0},
		{"1/0", "", "ZeroDivisionError: division by zero", 1},
		{"print('before'); raise ValueError('bad')", "before", "ValueError: bad", 1},
		{"import sys; sys.exit(3)", "", "", 3},
		{"sys.exit()", "", "", 0},
		{"sys.exit('why')", "", "why", 1},
		{"def", "", "SyntaxError", 1},
		{"print('a'); print('b', file=sys.stderr)", "a", "b", 0},
		{"sys.stdout.buffer.write(b'\\xff\\xfe ok'); None", "ok", "", 0},
		{"import numpy, pandas; print(pandas.DataFrame({'a': [1]}).a.sum())", "1", "", 0},
	} {
		r := c.python(id, test.code)
		seconds, isNumber := r.structured("executionTime").(float64)
		if !strings.Contains(r.stdout(), test.stdout) || (test.stdout == "" && r.stdout() != "") || !strings.Contains(r.stderr(), test.stderr) ||
			(test.stderr == "" && r.stderr() != "") || r.exitCode() != test.exit || r.failed() != (test.exit != 0) || !isNumber || seconds < 0 || seconds > 600 {
			c.t.Errorf("%s: %v", test.code, r.fields)
		}
		if test.exit == 0 && r.text() != r.stdout() {
			c.t.Errorf("%s: text %q, stdout %q", test.code, r.text(), r.stdout())
		}
		if test.exit != 0 && !strings.Contains(r.text(), test.stderr) {
			c.t.Errorf("%s: the text %q lacks the error", test.code, r.text())
		}
	}
	r := c.python(id, "print('x' * 9_000_000)")
	if n := len(r.stdout()); n < 3<<20 || n > 5<<20 || !strings.Contains(r.stdout(), "left out") {
		c.t.Errorf("a long output has %d bytes", n)
	}
}

func (c *dialogue) clear36() {
	id := c.session()
	c.python(id, "x = 1; open('f.txt', 'w').write('kept')")
	c.result(id, "executeCode", in{"language": "javascript", "code": "var j = 5", "clearContext": true})
	if r := c.python(id, "print(x)"); r.stdout() != "1" {
		c.t.Errorf("JavaScript cleared Python: %v", r.fields)
	}
	c.result(id, "executeCode", in{"language": "python", "code": "# nothing", "clearContext": true})
	if r := c.python(id, "print(x)"); r.exitCode() != 1 || !strings.Contains(r.stderr(), "NameError") {
		c.t.Errorf("after clearing: %v", r.fields)
	}
	if r := c.python(id, "print(open('f.txt').read())"); r.stdout() != "kept" {
		c.t.Errorf("the file: %v", r.fields)
	}
	if r := c.result(id, "executeCode", in{"language": "javascript", "code": "console.log(j)", "clearContext": true}); r.stdout() != "5" {
		c.t.Errorf("JavaScript was cleared: %v", r.fields)
	}
}

func (c *dialogue) javascript37() {
	id := c.session()
	for _, test := range []struct {
		args   in
		stdout string
	}{
		{in{"language": "javascript", "code": "const a = [1, 2, 3].map((x) => x * 2); console.log(a)"}, "[ 2, 4, 6 ]"},
		{in{"language": "typescript", "code": "interface P { x: number }; const p: P = { x: a[0] }; console.log(p)"}, "{ x: 2 }"},
		{in{"language": "typescript", "runtime": "deno", "code": "await Deno.writeTextFile('d.txt', 'deno'); console.log(await Deno.readTextFile('d.txt'))"}, "deno"},
		{in{"language": "javascript", "runtime": "nodejs", "code": "import fs from 'node:fs'; console.log(fs.readFileSync('d.txt', 'utf8'))"}, "deno"},
		{in{"runtime": "nodejs", "code": "console.log(typeof a)"}, "object"},
	} {
		if r := c.result(id, "executeCode", test.args); r.stdout() != test.stdout || r.failed() {
			c.t.Errorf("%v: %v", test.args, r.fields)
		}
	}
	if r := c.python(id, "print(open('d.txt').read())"); r.stdout() != "deno" {
		c.t.Errorf("Python sees %v", r.fields)
	}
	if r := c.result(id, "executeCode", in{"language": "javascript", "code": "console.log('x'); throw new RangeError('far')"}); !r.failed() || r.stdout() != "x" || !strings.Contains(r.stderr(), "RangeError: far") {
		c.t.Errorf("a failure: %v", r.fields)
	}
	bomb := c.result(id, "executeCode", in{"language": "javascript", "code": "const all = []; for (;;) all.push(new Array(1e5).fill(1))"})
	if !bomb.failed() {
		c.t.Errorf("a bomb: %v", bomb.fields)
	}
	if r := c.python(id, "print('alive')"); r.stdout() != "alive" {
		c.t.Errorf("after the bomb: %v", r.fields)
	}
	if r := c.result(id, "executeCode", in{"language": "javascript", "code": "console.log('alive')"}); r.stdout() != "alive" {
		c.t.Errorf("JavaScript after the bomb: %v", r.fields)
	}
}

func (c *dialogue) unicode38() {
	id := c.session()
	text := "ä€😀\u2028\u2029</script>\\n\"quoted\""
	r := c.python(id, "s = "+pythonString(text)+"\nprint(s); print(len(s), '\\x00|')")
	if want := text + "\n" + fmt.Sprint(len([]rune(text))) + " \x00|"; r.stdout() != want {
		c.t.Errorf("got %q, want %q", r.stdout(), want)
	}
}

func pythonString(s string) string {
	return "bytes.fromhex('" + fmt.Sprintf("%x", s) + "').decode()"
}

func (c *dialogue) figures39() {
	id := c.session()
	c.python(id, "import matplotlib.pyplot as plt")
	for _, code := range []string{"plt.plot([1, 2]); plt.figure(); plt.plot([3])", "plt.plot([1]); raise ValueError('after')"} {
		pictures := 0
		for _, b := range c.python(id, code).content() {
			data, _ := b["data"].(string)
			png, err := base64.StdEncoding.DecodeString(data)
			if b["type"] == "image" && b["mimeType"] == "image/png" && err == nil && bytes.HasPrefix(png, []byte("\x89PNG")) {
				pictures++
			}
		}
		if want := 1 + strings.Count(code, "figure"); pictures != want {
			c.t.Errorf("%s: %d pictures, want %d", code, pictures, want)
		}
	}
	own := c.python(id, "import base64, io; b = io.BytesIO(); plt.plot([1]); plt.savefig(b); print(base64.b64encode(b.getvalue()).decode())")
	if len(own.content()) != 1 || !strings.HasPrefix(own.stdout(), "iVBORw0KGgo") {
		c.t.Errorf("code that prints its picture: %d blocks", len(own.content()))
	}
	c.python(id, "plt.plot([1]); plt.savefig('chart.png')")
	if got := c.result(id, "readFiles", in{"paths": []string{"chart.png"}}).file("chart.png"); !bytes.HasPrefix(got, []byte("\x89PNG")) {
		c.t.Errorf("the saved picture: %.20q", got)
	}
}

func (c *dialogue) memory40() {
	id, other := c.session(), c.session()
	r := c.python(id, "x = bytearray(100 << 30)")
	if !r.failed() || !strings.Contains(r.stderr(), "MemoryError") {
		c.t.Errorf("too much memory: %v", r.fields)
	}
	for _, s := range []string{id, other} {
		if r := c.python(s, "print('alive')"); r.stdout() != "alive" {
			c.t.Errorf("afterwards: %v", r.fields)
		}
	}
}

// --- commands

func (c *dialogue) commands41() {
	id := c.session()
	c.python(id, "import os; os.chdir('/tmp')")
	for _, test := range []struct {
		command, stdout, stderr string
		exit                    int
	}{
		{"echo out; echo err >&2", "out", "err", 0},
		{"exit 7", "", "", 7},
		{"mkdir -p d && cd d && pwd", "/work/d", "", 0},
		{"pwd", "/work", "", 0},
		{"echo kept > d/f.txt; cat d/f.txt", "kept", "", 0},
		{"no-such-program", "", "not found", 127},
		{"X=1; export X", "", "", 0},
		{"echo [$X]", "[]", "", 0},
		{"python3 -c 'import numpy; print(numpy.arange(3).sum())'", "3", "", 0},
		{"kill -9 $$", "", "", 137},
		{"echo \"it's\" 'a \"quote\"'; printf 'a\\\\nb'", "it's a \"quote\"\na\\nb", "", 0},
	} {
		r := c.result(id, "executeCommand", in{"command": test.command})
		if r.stdout() != test.stdout || !strings.Contains(r.stderr(), test.stderr) || r.exitCode() != test.exit || r.failed() != (test.exit != 0) {
			c.t.Errorf("%s: %v", test.command, r.fields)
		}
	}
	if r := c.python(id, "print(open('/work/d/f.txt').read())"); r.stdout() != "kept" {
		c.t.Errorf("Python sees %v", r.fields)
	}
}

// until asks for a task until it has the status.
func (c *dialogue) until(id, task, status string) result {
	c.t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); ; {
		r := c.result(id, "getTask", in{"taskId": task})
		if r.structured("taskStatus") == status {
			return r
		}
		if time.Now().After(deadline) {
			c.t.Fatalf("the task is %v, never %s", r.fields, status)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func (c *dialogue) tasks42() {
	id := c.session()
	begin := func(command string) string {
		c.t.Helper()
		r := c.result(id, "startCommandExecution", in{"command": command})
		task, _ := r.structured("taskId").(string)
		if status := r.structured("taskStatus"); task == "" || r.failed() || (status != "submitted" && status != "working") {
			if status != "completed" && status != "failed" { // very quick
				c.t.Fatalf("%s: %v", command, r.fields)
			}
		}
		return task
	}
	done := begin("echo one; echo two >&2; sleep .05; echo three")
	if r := c.until(id, done, "completed"); r.stdout() != "one\nthree\n" || r.stderr() != "two\n" || r.exitCode() != 0 {
		c.t.Errorf("completed: %v", r.fields)
	}
	failed := begin("echo x; exit 5")
	if r := c.until(id, failed, "failed"); r.exitCode() != 5 || r.stdout() != "x\n" {
		c.t.Errorf("failed: %v", r.fields)
	}
	long := begin("echo $$ > pid; (sleep 1000; echo never > never) & sleep 1000")
	if r := c.result(id, "getTask", in{"taskId": long}); r.structured("taskStatus") != "working" || r.structured("exitCode") != nil {
		c.t.Errorf("working: %v", r.fields)
	}
	if r := c.result(id, "stopTask", in{"taskId": long}); r.structured("taskStatus") != "canceled" {
		c.t.Errorf("stopped: %v", r.fields)
	}
	if r := c.result(id, "executeCommand", in{"command": "for s in $(grep -ls '^sleep$' /proc/[0-9]*/comm); do grep State ${s%comm}status; done; true"}); strings.Contains(strings.ReplaceAll(r.stdout(), "zombie", ""), "State:\tS") {
		c.t.Errorf("its processes: %v", r.fields)
	}
	if r := c.result(id, "stopTask", in{"taskId": done}); r.structured("taskStatus") != "completed" {
		c.t.Errorf("stopping what has ended: %v", r.fields)
	}
	if r := c.result(id, "getTask", in{"taskId": "task-99"}); !r.failed() || !strings.Contains(r.text(), "no task") {
		c.t.Errorf("an unknown task: %v", r.fields)
	}
}

// --- files

func (c *dialogue) write(id string, files ...in) result {
	c.t.Helper()
	return c.result(id, "writeFiles", in{"content": files})
}

func (c *dialogue) files45() {
	id := c.session()
	var every [256]byte
	for i := range every {
		every[i] = byte(i)
	}
	r := c.write(id, in{"path": "every.bin", "blob": every[:]}, in{"path": "deep/er/text.txt", "text": "hä\n"}, in{"path": "empty.txt", "text": ""})
	if r.text() != "Successfully wrote all 3 files" || r.failed() || r.fields["structuredContent"] != nil {
		c.t.Errorf("writing: %v", r.fields)
	}
	read := c.result(id, "readFiles", in{"paths": []string{"every.bin", "deep/er/text.txt", "empty.txt"}})
	kinds := []string{"blob", "text", "text"}
	for i, b := range read.content() {
		res, _ := b["resource"].(map[string]any)
		if b["type"] != "resource" || res["type"] != kinds[i] || res["mimeType"] == nil {
			c.t.Errorf("block %d: %v", i, b)
		}
	}
	if !bytes.Equal(read.file("every.bin"), every[:]) || string(read.file("deep/er/text.txt")) != "hä\n" || read.file("empty.txt") == nil {
		c.t.Errorf("read %v", read.fields)
	}
	c.write(id, in{"path": "utf8.bin", "blob": []byte("text all the same")})
	if res := c.result(id, "readFiles", in{"paths": []string{"utf8.bin"}}).content()[0]["resource"].(map[string]any); res["text"] != "text all the same" {
		c.t.Errorf("a blob that is text: %v", res)
	}
	c.fails("InvokeCodeInterpreter", in{"sessionId": id, "name": "writeFiles", "arguments": in{"content": []any{
		in{"path": "good.txt", "text": "x"}, in{"path": "../bad.txt", "text": "y"},
	}}}, 400, "ValidationException")
	if r := c.result(id, "readFiles", in{"paths": []string{"good.txt"}}); !r.failed() {
		c.t.Error("half of the files were written")
	}
	if r := c.result(id, "readFiles", in{"paths": []string{"empty.txt", "missing.txt"}}); !r.failed() || !strings.Contains(r.text(), "missing.txt") {
		c.t.Errorf("a missing file: %v", r.fields)
	}
}

func (c *dialogue) paths48() {
	id := c.session()
	c.python(id, "import os; os.symlink('/etc', 'etc'); os.symlink('/proc/self/environ', 'link.txt'); os.mkdir('sub')")
	for _, p := range []string{"../x", "/etc/passwd", "a/../../x", "", ".", "a\x00b", "a\\b", strings.Repeat("n", 300), "C:\\x", "dir/"} {
		for _, tool := range []string{"readFiles", "removeFiles"} {
			c.fails("InvokeCodeInterpreter", in{"sessionId": id, "name": tool, "arguments": in{"paths": []string{p}}}, 400, "ValidationException")
		}
		c.fails("InvokeCodeInterpreter", in{"sessionId": id, "name": "writeFiles", "arguments": in{"content": []any{in{"path": p, "text": "x"}}}}, 400, "ValidationException")
	}
	for _, p := range []string{"etc/hosts", "link.txt", "etc/new.txt"} {
		if r := c.result(id, "readFiles", in{"paths": []string{p}}); !r.failed() {
			c.t.Errorf("%s is read through a link: %v", p, r.fields)
		}
		if r := c.write(id, in{"path": p, "text": "x"}); !r.failed() {
			c.t.Errorf("%s is written through a link: %v", p, r.fields)
		}
	}
	if r := c.result(id, "listFiles", in{"directoryPath": "etc"}); !r.failed() {
		c.t.Errorf("a link is listed: %v", r.fields)
	}
	c.fails("InvokeCodeInterpreter", in{"sessionId": id, "name": "listFiles", "arguments": in{"directoryPath": "../"}}, 400, "ValidationException")
}

func (c *dialogue) directories49() {
	id := c.session()
	c.write(id, in{"path": "data.csv", "text": "a\n1\n"}, in{"path": ".hidden", "text": ""}, in{"path": "sub/inner.txt", "text": "x"})
	for _, args := range []in{{}, {"directoryPath": ""}, {"directoryPath": "."}, {"path": "."}} {
		found := map[string]map[string]any{}
		for _, b := range c.result(id, "listFiles", args).content() {
			found[b["name"].(string)] = b
		}
		csv, hidden, sub := found["data.csv"], found[".hidden"], found["sub"]
		if csv["type"] != "resource_link" || csv["uri"] != "file:///data.csv" || csv["description"] != "File" || csv["mimeType"] != "text/csv" || csv["size"] != 4.0 ||
			hidden == nil || sub["description"] != "Directory" || sub["mimeType"] != nil || found["sub/inner.txt"] != nil {
			c.t.Errorf("%v: %v", args, found)
		}
	}
	for _, args := range []in{{"directoryPath": "sub"}, {"path": "sub/"}} {
		if blocks := c.result(id, "listFiles", args).content(); len(blocks) != 1 || blocks[0]["uri"] != "file:///sub/inner.txt" {
			c.t.Errorf("%v: %v", args, blocks)
		}
	}
	if r := c.result(id, "listFiles", in{"directoryPath": "missing"}); !r.failed() || !strings.Contains(r.text(), "missing") {
		c.t.Errorf("a missing directory: %v", r.fields)
	}
	if r := c.result(id, "removeFiles", in{"paths": []string{"data.csv", "sub"}}); r.failed() {
		c.t.Errorf("removing: %v", r.fields)
	}
	if r := c.result(id, "removeFiles", in{"paths": []string{".hidden", "missing.txt"}}); !r.failed() || !strings.Contains(r.text(), "missing.txt") {
		c.t.Errorf("removing what is not there: %v", r.fields)
	}
	if blocks := c.result(id, "listFiles", in{}).content(); len(blocks) != 0 {
		c.t.Errorf("left: %v", blocks)
	}
}

func (c *dialogue) requestID53() {
	uuid := regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	r := c.call("ListCodeInterpreterSessions", in{})
	if !uuid.MatchString(r.RequestID) {
		c.t.Errorf("request id %q", r.RequestID)
	}
	if e := c.fails("GetCodeInterpreterSession", in{"sessionId": "nosuch"}, 404, "ResourceNotFoundException"); !uuid.MatchString(e.RequestID) {
		c.t.Errorf("request id of an error: %q", e.RequestID)
	}
}
