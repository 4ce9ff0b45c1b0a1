package conversation_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"testing"

	"github.com/strandsgo/strands"
	"github.com/strandsgo/strands/conversation"
)

// talker is a model that answers everything, and notes how much it was given.
type talker struct{ given []int }

func (m *talker) Generate(_ context.Context, req *strands.Request) iter.Seq2[strands.Chunk, error] {
	return func(yield func(strands.Chunk, error) bool) {
		m.given = append(m.given, len(req.Messages))
		text := fmt.Sprint("answer ", len(m.given))
		yield(strands.Chunk{Reply: &strands.Reply{Message: strands.AssistantMessage(strands.Text(text)), StopReason: strands.StopEndTurn}}, nil)
	}
}

func agent(t *testing.T, m strands.Model, store strands.Store, manager strands.ConversationManager) *strands.Agent {
	t.Helper()
	a, err := strands.New(strands.Config{Model: m, Store: store, Conversation: manager})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	})
	return a
}

// TestEvery: the window is applied before every nth model call of a session,
// also of one that was restored in between.
func TestEvery(t *testing.T) {
	for every, want := range map[int]string{
		0: "[1 3 5 5 5 5]", // only at the end of a run
		1: "[1 3 3 3 3 3]",
		3: "[1 3 3 5 5 3]",
	} {
		m, store := new(talker), strands.NewMemoryStore()
		a := agent(t, m, store, conversation.SlidingWindow{Size: 4, Every: every})
		s := a.NewSession()
		for i := range 6 {
			if _, err := s.Ask(t.Context(), fmt.Sprint("question ", i)); err != nil {
				t.Fatal(err)
			}
			if i == 3 {
				again, err := a.Restore(t.Context(), s.ID())
				if err != nil {
					t.Fatal(err)
				}
				s = again
			}
		}
		if got := fmt.Sprint(m.given); got != want {
			t.Errorf("every %d: the model was given %s messages, want %s", every, got, want)
		}
	}
}

func TestNegativeSizesAreRefused(t *testing.T) {
	for _, w := range []conversation.SlidingWindow{{Size: -1}, {Every: -1}} {
		err := w.Manage(t.Context(), &strands.Conversation{Messages: history("UA"), Ended: true})
		if _, ok := errors.AsType[*strands.InputError](err); !ok {
			t.Errorf("%+v: %v", w, err)
		}
	}
}

// TestTheBoundOfLongResults: 400 characters stay, 401 do not, and what is cut
// is not cut again.
func TestTheBoundOfLongResults(t *testing.T) {
	for n, cut := range map[int]bool{400: false, 401: true} {
		msgs := history("UCRUA")
		msgs[2].Parts[0].ToolResult.Parts[0].Text = strings.Repeat("é", n)
		msgs[2].Parts[0].ToolResult.IsError = true
		conv := &strands.Conversation{Messages: msgs}
		if err := (conversation.SlidingWindow{}).Reduce(t.Context(), conv, errors.New("overflow")); err != nil {
			t.Fatal(err)
		}
		if !cut {
			if len(conv.Messages) == len(msgs) {
				t.Errorf("%d characters: nothing was done", n)
			}
			continue
		}
		r := conv.Messages[2].ToolResults()[0]
		if want := strings.Repeat("é", 200) + "... [truncated: 1 characters removed] ..." + strings.Repeat("é", 200); r.Text() != want || !r.IsError {
			t.Errorf("%d characters: %s, error %v", n, r.Text(), r.IsError)
		}
		if err := (conversation.SlidingWindow{}).Reduce(t.Context(), conv, errors.New("overflow")); err != nil || len(conv.Messages) >= len(msgs) {
			t.Errorf("a second time: %v, %d messages", err, len(conv.Messages))
		}
	}
}

// TestRoutineTruncatesNothing: only a context that overflowed costs results.
func TestRoutineTruncatesNothing(t *testing.T) {
	msgs := history("UAUCRA")
	msgs[4].Parts[0].ToolResult.Parts[0].Text = strings.Repeat("x", 1000)
	conv := &strands.Conversation{Messages: msgs, Tokens: 900, Window: 1000}
	if err := (conversation.SlidingWindow{Threshold: .7}).Manage(t.Context(), conv); err != nil {
		t.Fatal(err)
	}
	if last := conv.Messages[len(conv.Messages)-2]; len(conv.Messages) != 4 || len(last.ToolResults()[0].Text()) != 1000 {
		t.Errorf("left: %s", sketch(conv.Messages))
	}
}

// TestRatioIsHeld between one and eight tenths.
func TestRatioIsHeld(t *testing.T) {
	for ratio, left := range map[float64]int{.01: 19, .1: 19, .5: 11, .8: 5, 5: 5} { // of 20, with the summary
		conv := &strands.Conversation{Messages: history(strings.Repeat("UA", 10)), Model: &writer{reply: says("s")}}
		if err := (conversation.Summarizing{Ratio: ratio, Keep: 1}).Reduce(t.Context(), conv, errors.New("overflow")); err != nil {
			t.Fatal(err)
		}
		if len(conv.Messages) != left {
			t.Errorf("ratio %v left %d messages, want %d", ratio, len(conv.Messages), left)
		}
	}
}

// TestRepeatedSummaries: a session that was summarized several times is the
// same one when it is restored, by another manager too.
func TestRepeatedSummaries(t *testing.T) {
	store := strands.NewMemoryStore()
	m := new(talker)
	a := agent(t, m, store, conversation.Summarizing{Model: &writer{reply: says("They talked.")}, Ratio: .5, Keep: 2, Threshold: .0001})
	s := a.NewSession()
	for i := range 12 {
		if _, err := s.Ask(t.Context(), fmt.Sprint("question ", i)); err != nil {
			t.Fatal(err)
		}
	}
	summaries := 0
	for _, msg := range s.Messages() {
		summaries += strings.Count(msg.Text(), "They talked.")
	}
	if summaries != 1 || len(s.Messages()) > 12 {
		t.Errorf("%d summaries in %d messages", summaries, len(s.Messages()))
	}
	log, err := store.Load(t.Context(), s.ID())
	if err != nil {
		t.Fatal(err)
	}
	stored := 0
	for _, e := range log {
		if e.Message != nil {
			stored++
		}
	}
	if stored != 24 {
		t.Errorf("the log has %d messages of 24", stored)
	}
	for _, manager := range []strands.ConversationManager{nil, conversation.SlidingWindow{}} {
		again, err := agent(t, m, store, manager).Restore(t.Context(), s.ID())
		if err != nil || sketch(again.Messages()) != sketch(s.Messages()) {
			t.Errorf("restored %s, want %s: %v", sketch(again.Messages()), sketch(s.Messages()), err)
		}
	}
}
