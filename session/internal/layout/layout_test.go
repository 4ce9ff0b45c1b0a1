package layout_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"

	strands "github.com/strandsgo/strands"
	"github.com/strandsgo/strands/session/internal/layout"
)

// memory is a Medium that nobody else writes to.
type memory map[string][]byte

var errBroken = errors.New("broken")

func (m memory) Read(_ context.Context, names ...string) ([][]byte, error) {
	raws := make([][]byte, len(names))
	for i, name := range names {
		raws[i] = m[name]
	}
	return raws, nil
}

func (m memory) List(_ context.Context, folder string) ([]string, error) {
	names := map[string]bool{}
	for name := range m {
		if rest, ok := strings.CutPrefix(name, folder+"/"); ok {
			first, _, _ := strings.Cut(rest, "/")
			names[first] = true
		}
	}
	var all []string
	for name := range names {
		all = append(all, name)
	}
	return all, nil
}

func (m memory) Begin(context.Context, string, []byte) error { return nil }

func (m memory) Write(_ context.Context, objects map[string][]byte) error {
	maps.Copy(m, objects)
	return nil
}

func (m memory) Remove(_ context.Context, names []string) error {
	for _, name := range names {
		delete(m, name)
	}
	return nil
}

func (m memory) Broken(name string, err error) error {
	return fmt.Errorf("%w: %s: %w", errBroken, name, err)
}

// FuzzLoad: whatever is in the objects of a session, it is a log, which can be
// added to, or it is an error.
func FuzzLoad(f *testing.F) {
	f.Add(`{"version":1,"last":2,"messages":1,"next":1,"stateSeq":2,"state":{"dropped":1}}`,
		`{"message":{"role":"user","content":[{"text":"a"}]},"message_id":0,"strands_go":{"seq":1}}`, `{"agent_id":"default","strands_go":{"seq":2}}`)
	f.Add(`{"version":1,"last":3,"messages":1,"next":1,"redactions":[{"seq":3,"of":1},{"seq":-1,"of":9}]}`,
		`{"message":{},"redact_message":{"role":"user","content":[]}}`,
		`{"conversation_manager_state":{"removed_message_count":-5,"summary_message":{}},"_internal_state":{"interrupt_state":{"activated":true,"pending_tool_execution":{"completed_tool_results":[null,{}]}}}}`)
	f.Add(`{"version":1,"last":9000000000000000000}`, `{"message":{"role":"assistant","content":[{"toolResult":null},{"toolUse":{}},{"citationsContent":{}},{"image":{}}]}}`, `null`)
	f.Fuzz(func(t *testing.T, log, message, agent string) {
		const dir = "agents/agent_default/"
		m := memory{"session.json": []byte(`{"session_id":"s"}`), dir + "strands_go.json": []byte(log), dir + "messages/message_0.json": []byte(message), dir + "agent.json": []byte(agent)}
		l := &layout.Log{Session: "s", Agent: "default", Medium: m}
		entries, err := l.Load(t.Context())
		if err != nil {
			if !errors.Is(err, errBroken) && !errors.Is(err, strands.ErrNotFound) {
				t.Errorf("load: %v", err)
			}
			return
		}
		for i, e := range entries {
			set := 0
			for _, is := range []bool{e.Message != nil, e.State != nil, e.Redaction != nil} {
				if is {
					set++
				}
			}
			if e.Seq != int64(i)+1 || set != 1 {
				t.Fatalf("entry %d is %+v", i, e)
			}
		}
		if err := l.Append(t.Context(), int64(len(entries)), []strands.Entry{{Message: new(strands.UserMessage(strands.Text("more")))}}); err != nil {
			return // it may be full, or hold what cannot be written again
		}
		again, err := l.Load(t.Context())
		if err != nil || len(again) != len(entries)+1 || again[len(entries)].Message.Text() != "more" {
			t.Errorf("after an append: %d entries of %d, %v", len(again), len(entries)+1, err)
		}
	})
}
