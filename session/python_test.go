package session_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	strands "github.com/strandsgo/strands"
	"github.com/strandsgo/strands/bench/pythonsdk"
	"github.com/strandsgo/strands/session"
)

// written returns a copy of what testdata/make.py wrote with the real SDK.
func written(t *testing.T) session.Files {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(filepath.Join("testdata", "python"))); err != nil {
		t.Fatal(err)
	}
	return session.Files{Dir: dir}
}

func load(t *testing.T, f session.Files, id string) []strands.Entry {
	t.Helper()
	log, err := f.Load(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return log
}

func TestSessionOfPython(t *testing.T) {
	f := written(t)
	log := load(t, f, "trip")
	if len(log) != 14 || log[13].State == nil {
		t.Fatalf("%d entries", len(log))
	}
	var every [256]byte
	for i := range every {
		every[i] = byte(i)
	}
	ask, reply, result := log[0].Message, log[1].Message, log[2].Message.ToolResults()[0]
	if ask.Text() != "Grüße 🦫" || !bytes.Equal(ask.Parts[1].Image.Data, every[:]) || ask.Parts[1].Image.MIME != "image/png" || string(ask.Parts[2].Document.Data) != "hi" {
		t.Errorf("the first message is %+v", ask)
	}
	if reply.Parts[0].Reasoning.Signature != "s" || !bytes.Equal(reply.Parts[1].Reasoning.Redacted, every[:]) || string(reply.ToolCalls()[0].Input) != `{"b":1,"a":[2,null]}` {
		t.Errorf("the reply is %+v", reply)
	}
	if !result.IsError || result.Text() != "{\"x\":1.5}\nno" || result.CallID != "t1" {
		t.Errorf("the result is %+v", result)
	}
	if c := log[3].Message.Parts[0].Cited; c.Text != "said" || c.Citations[0].Kind != "page" || c.Citations[0].End != 3 || c.Citations[0].Quotes[0] != "q" {
		t.Errorf("the citation is %+v", c)
	}
	if got := log[12].Message.Text(); got != "[redacted]" || !strings.Contains(log[4].Message.Text(), "audio") || log[9].Message.Text() != "more 4" {
		t.Errorf("the last message is %q", got)
	}
	if s := log[13].State; s.Dropped != 2 || string(s.Values["n"]) != "12345678901234567890" || log[0].Time.IsZero() {
		t.Errorf("the state is %+v", s)
	}
}

// TestGoOnAfterPython appends to a session of Python, and keeps what only
// Python knows.
func TestGoOnAfterPython(t *testing.T) {
	f := written(t)
	agent := filepath.Join(f.Dir, "session_trip", "agents", "agent_default")
	edit(t, filepath.Join(agent, "agent.json"), `"agent_id"`, `"of_the_future": {"x": 1}, "agent_id"`)
	before := load(t, f, "trip")
	if err := f.Append(t.Context(), "trip", 3, said("x")); !errors.Is(err, strands.ErrConflict) {
		t.Errorf("a stale append: %v", err)
	}
	if err := f.Append(t.Context(), "trip", 14, said("from go")); err != nil {
		t.Fatal(err)
	}
	after := load(t, f, "trip")
	if len(after) != 15 || jsonText(t, after[:14]) != jsonText(t, before) || after[14].Message.Text() != "from go" {
		t.Errorf("the log is now %s", jsonText(t, after))
	}
	for name, want := range map[string]string{"agent.json": "of_the_future", "messages/message_4.json": `"wav"`, "messages/message_13.json": "from go"} {
		if raw, err := os.ReadFile(filepath.Join(agent, name)); err != nil || !bytes.Contains(raw, []byte(want)) {
			t.Errorf("%s lacks %s: %v", name, want, err)
		}
	}
}

func said(text string) strands.Entry {
	return strands.Entry{Message: new(strands.UserMessage(strands.Text(text)))}
}

func jsonText(t *testing.T, v any) string {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func edit(t *testing.T, path, old, new string) {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil || !bytes.Contains(raw, []byte(old)) {
		t.Fatalf("%s has no %s: %v", path, old, err)
	}
	if err := os.WriteFile(path, bytes.Replace(raw, []byte(old), []byte(new), 1), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestBrokenFiles(t *testing.T) {
	agent := "session_trip/agents/agent_default/"
	for name, broken := range map[string]string{
		agent + "messages/message_3.json": `{"message": {"ro`,
		agent + "messages/message_5.json": `{"message": {"role": "system", "content": []}, "message_id": 5}`,
		agent + "agent.json":              `[]`,
		"session_trip/session.json":       `{"session_id": "other"}`,
	} {
		f := written(t)
		path := filepath.Join(f.Dir, filepath.FromSlash(name))
		if err := os.WriteFile(path, []byte(broken), 0o600); err != nil {
			t.Fatal(err)
		}
		_, load := f.Load(t.Context(), "trip")
		for what, err := range map[string]error{"load": load, "append": f.Append(t.Context(), "trip", 14, said("x"))} {
			if e, ok := errors.AsType[*session.FileError](err); !ok || e.Path != path {
				t.Errorf("%s with a broken %s: %v", what, name, err)
			}
		}
		if raw, err := os.ReadFile(path); err != nil || string(raw) != broken {
			t.Errorf("%s was changed: %v", name, err)
		}
		if err := f.Delete(t.Context(), "trip"); err != nil {
			t.Errorf("delete with a broken %s: %v", name, err)
		}
	}
}

// TestBrokenLogFile: counts that cannot be are not believed.
func TestBrokenLogFile(t *testing.T) {
	for _, broken := range []string{`{"version": 1, "last": 9000000000000000000}`, `{"version": 1, "last": -1}`, `{"version": 1, "last": 1, "next": -7}`, `{"version": 2}`, `{`, `[]`, `null`, ``} {
		f := session.Files{Dir: t.TempDir()}
		if err := f.Append(t.Context(), "s", 0, said("a")); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(f.Dir, "session_s", "agents", "agent_default", "strands_go.json")
		if err := os.WriteFile(path, []byte(broken), 0o600); err != nil {
			t.Fatal(err)
		}
		_, load := f.Load(t.Context(), "s")
		for what, err := range map[string]error{"load": load, "append": f.Append(t.Context(), "s", 1, said("b"))} {
			if e, ok := errors.AsType[*session.FileError](err); !ok || e.Path != path {
				if broken == `null` && (errors.Is(err, strands.ErrNotFound) || errors.Is(err, strands.ErrConflict)) {
					continue // as if it were not there
				}
				t.Errorf("%s with %s: %v", what, broken, err)
			}
		}
	}
}

func TestMissingMessage(t *testing.T) {
	f := session.Files{Dir: t.TempDir()}
	if err := f.Append(t.Context(), "s", 0, said("a"), said("b")); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(f.Dir, "session_s/agents/agent_default/messages/message_0.json")); err != nil {
		t.Fatal(err)
	}
	_, err := f.Load(t.Context(), "s")
	if _, ok := errors.AsType[*session.FileError](err); !ok {
		t.Errorf("load without a message: %v", err)
	}
}

// TestRealPython has the real SDK load what Go wrote, and Go what the SDK then
// added.
func TestRealPython(t *testing.T) {
	sdk := pythonsdk.Need(t)
	f := session.Files{Dir: t.TempDir()}
	picture := strands.UserMessage(strands.Text("see"), strands.Part{Image: &strands.Media{MIME: "image/png", Data: []byte{0, 1, 255}}})
	call := strands.AssistantMessage(strands.Part{ToolCall: &strands.ToolCall{ID: "1", ParentID: "p", Name: "n", Input: json.RawMessage(`{"a":1}`)}})
	state := strands.SessionState{Values: map[string]json.RawMessage{"city": json.RawMessage(`"Oslo"`)}, Dropped: 1}
	err := f.Append(t.Context(), "s", 0, said("dropped"), strands.Entry{Message: &picture}, strands.Entry{Message: &call},
		strands.Entry{Message: new(strands.UserMessage(strands.Part{ToolResult: &strands.ToolResult{CallID: "1", Parts: []strands.Part{strands.Text("ok")}}}))},
		strands.Entry{State: &state})
	if err != nil {
		t.Fatal(err)
	}
	before := load(t, f, "s")
	if err := f.SaveState(t.Context(), "s", "team", json.RawMessage(`{"next": ["a"]}`)); err != nil {
		t.Fatal(err)
	}
	out, err := sdk.Command(t.Context(), nil, filepath.Join("testdata", "check.py"), f.Dir, "s").Output()
	if err != nil {
		t.Fatal(err)
	}
	want := `{"messages": [[{"text": "see"}, {"image": {"format": "png", "source": {"bytes": "AAH/"}}}], ` +
		`[{"toolUse": {"input": {"a": 1}, "name": "n", "toolUseId": "1"}}], ` +
		`[{"toolResult": {"content": [{"text": "ok"}], "status": "success", "toolUseId": "1"}}]], "state": {"city": "Oslo"}, "team": {"next": ["a"]}}`
	if got := strings.TrimSpace(string(out)); got != want {
		t.Errorf("Python sees %s, want %s", got, want)
	}
	if state, err := f.LoadState(t.Context(), "s", "team"); err != nil || !bytes.Contains(state, []byte(`"b"`)) {
		t.Errorf("the state that Python saved: %s, %v", state, err)
	}
	if err := f.Append(t.Context(), "s", 5, said("x")); !errors.Is(err, strands.ErrConflict) {
		t.Errorf("an append that knows nothing of Python's: %v", err)
	}
	log := load(t, f, "s")
	if len(log) != 7 || jsonText(t, log[:4]) != jsonText(t, before[:4]) || log[5].Message.Text() != "from python" ||
		string(log[6].State.Values["by"]) != `"python"` || log[6].State.Dropped != 1 {
		t.Errorf("after Python: %s", jsonText(t, log))
	}
	if err := f.Append(t.Context(), "s", 7, said("go again")); err != nil {
		t.Fatal(err)
	}
	if got := load(t, f, "s"); len(got) != 8 || jsonText(t, got[:4]) != jsonText(t, log[:4]) || got[5].Message.Text() != "from python" {
		t.Errorf("after Go again: %s", jsonText(t, got))
	}
}
