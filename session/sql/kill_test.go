package sql_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"iter"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	strands "github.com/strandsgo/strands"
	"github.com/strandsgo/strands/session"
	"github.com/strandsgo/strands/session/sql"
)

// The test binary is also the program that the tests kill: what it does, and
// with which store.
const (
	childTask  = "STRANDS_TEST_CHILD"
	childStore = "STRANDS_TEST_STORE"
)

func TestMain(m *testing.M) {
	if task := os.Getenv(childTask); task != "" {
		if err := child(task); err != nil {
			fmt.Println("error:", err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// medium opens the store named "files:DIR" or "sqlite:FILE".
func medium(ctx context.Context, name string) (strands.Store, func() error, error) {
	if dir, ok := strings.CutPrefix(name, "files:"); ok {
		return session.Files{Dir: dir}, func() error { return nil }, nil
	}
	s, err := sql.Open(ctx, strings.TrimPrefix(name, "sqlite:"))
	if err != nil {
		return nil, nil, err
	}
	return s, s.Close, nil
}

func child(task string) error {
	ctx := context.Background()
	store, _, err := medium(ctx, os.Getenv(childStore))
	if err != nil {
		return err
	}
	if who, ok := strings.CutPrefix(task, "compete "); ok {
		return compete(ctx, store, who)
	}
	return runForever(ctx, &teller{Store: store})
}

// digest is what a log comes to: how many messages, which ones, and the last
// state.
func digest(log []strands.Entry) []string {
	h := fnv.New64a()
	lines := []string{}
	runs := "0"
	messages := 0
	for _, e := range log {
		if e.Message != nil {
			messages++
			_ = json.NewEncoder(h).Encode(e.Message) // it was decoded from JSON
		}
		if e.State != nil && e.State.Values["runs"] != nil {
			runs = string(e.State.Values["runs"])
		}
		lines = append(lines, fmt.Sprintf("%d %x", messages, h.Sum64()))
	}
	if len(lines) > 0 {
		lines[len(lines)-1] += " " + runs
	}
	return lines
}

// teller is a store that says on stdout what it has stored.
type teller struct {
	strands.Store
	log []strands.Entry
}

func (s *teller) Load(ctx context.Context, id string) ([]strands.Entry, error) {
	log, err := s.Store.Load(ctx, id)
	s.log = log
	return log, err
}

func (s *teller) Append(ctx context.Context, id string, after int64, entries ...strands.Entry) error {
	if err := s.Store.Append(ctx, id, after, entries...); err != nil {
		return err
	}
	for _, e := range entries {
		if e.State != nil {
			for i := range s.log {
				if s.log[i].State != nil {
					s.log[i].State = new(strands.SessionState)
				}
			}
		}
		s.log = append(s.log, e)
	}
	lines := digest(s.log)
	fmt.Println(len(lines), lines[len(lines)-1])
	return nil
}

func (s *teller) messages() int {
	n := 0
	for _, e := range s.log {
		if e.Message != nil {
			n++
		}
	}
	return n
}

// gambler is a model that answers at random, and first looks whether the
// request is one that a provider takes and the history is safe.
type gambler struct {
	store *teller
	ids   int
}

func (g *gambler) Generate(ctx context.Context, req *strands.Request) iter.Seq2[strands.Chunk, error] {
	return func(yield func(strands.Chunk, error) bool) {
		if err := strands.Validate(req.Messages); err != nil {
			fmt.Println("error: a request that a provider would refuse:", err)
		}
		if s := strands.SessionFrom(ctx); g.store.messages() != len(s.Messages()) {
			fmt.Printf("error: %d messages are stored of %d when the model is asked\n", g.store.messages(), len(s.Messages()))
		}
		switch rand.IntN(12) {
		case 0:
			yield(strands.Chunk{}, errors.New("odd"))
			return
		case 1:
			panic("model")
		}
		r := &strands.Reply{StopReason: strands.StopEndTurn, Message: strands.Message{Role: strands.Assistant}}
		if rand.IntN(12) == 0 {
			r.StopReason = strands.StopMaxTokens
		}
		if rand.IntN(2) == 0 {
			r.Message.Parts = append(r.Message.Parts, strands.Text(fmt.Sprint("reply ", rand.Int())))
		}
		for range rand.IntN(4) {
			g.ids++
			r.StopReason = strands.StopToolUse
			r.Message.Parts = append(r.Message.Parts, strands.Part{ToolCall: &strands.ToolCall{
				ID: fmt.Sprintf("%d-%d", os.Getpid(), g.ids), Name: []string{"tool", "ask", "none"}[rand.IntN(3)], Input: json.RawMessage(`{}`)}})
		}
		yield(strands.Chunk{Reply: r}, nil)
	}
}

func hazards(context.Context) error {
	switch rand.IntN(10) {
	case 0:
		return errors.New("failed")
	case 1:
		panic("panicked")
	case 2:
		return strands.Fatal(errors.New("fatal"))
	}
	return nil
}

func gamblers(store *teller) (*strands.Agent, error) {
	type none struct{}
	return strands.New(strands.Config{
		Model: &gambler{store: store}, Store: store, Logger: slog.New(slog.DiscardHandler), Limits: strands.Limits{Turns: 5},
		Tools: []strands.Tool{
			strands.NewTool("tool", "", func(ctx context.Context, _ none) (string, error) {
				return strings.Repeat("x", rand.IntN(2000)), hazards(ctx)
			}),
			strands.NewTool("ask", "", func(ctx context.Context, _ none) (string, error) {
				_, err := strands.RequestInput(ctx, "ok?", nil)
				return "asked", err
			}),
		},
		Hooks: []strands.Hooks{{
			MessageAdded: func(context.Context, *strands.MessageAdded) error {
				if rand.IntN(30) == 0 {
					return errors.New("hook")
				}
				return nil
			},
			BeforeToolCall: func(ctx context.Context, e *strands.BeforeToolCall) error {
				if rand.IntN(20) == 0 {
					e.Session.Cancel()
				}
				return nil
			},
		}},
	})
}

// runForever makes one random run after the other, in one session.
func runForever(ctx context.Context, store *teller) error {
	a, err := gamblers(store)
	if err != nil {
		return err
	}
	s, err := a.Restore(ctx, "k")
	if errors.Is(err, strands.ErrNotFound) {
		s, err = a.NewSessionID("k")
	}
	if err != nil {
		return err
	}
	var runs int
	if _, err := s.Get("runs", &runs); err != nil {
		return err
	}
	for n := 0; ; n++ {
		runs++
		if err := s.Set("runs", runs); err != nil {
			return err
		}
		in := strands.Prompt(fmt.Sprint("question ", rand.Int()))
		if p := s.Pending(); p != nil {
			in = strands.Input{Responses: []strands.InterruptResponse{}}
			for _, q := range p.Interrupts {
				if rand.IntN(3) > 0 {
					in.Responses = append(in.Responses, strands.InterruptResponse{ID: q.ID, Response: true})
				}
			}
		}
		leaveAt := rand.IntN(20)
		for _, err := range s.Run(ctx, in) {
			if errors.Is(err, strands.ErrConflict) {
				return err
			}
			if leaveAt--; leaveAt == 0 {
				break
			}
		}
		if p := s.Pending(); p == nil {
			if err := strands.Validate(s.Messages()); err != nil {
				return err
			}
			if store.messages() != len(s.Messages()) {
				return fmt.Errorf("%d messages are stored of %d after the run", store.messages(), len(s.Messages()))
			}
		}
	}
}

// TestKilledRuns kills 500 processes in the midst of random runs: nothing that
// was stored is lost or changed, and the session goes on. A slow machine does
// what it can in a quarter of a minute, and atLeast in any time.
func TestKilledRuns(t *testing.T) {
	const kills, each, atLeast = 250, 10, 50
	end := time.Now().Add(15 * time.Second)
	for _, kind := range []string{"files:", "sqlite:"} {
		t.Run(strings.TrimSuffix(kind, ":"), func(t *testing.T) {
			t.Parallel()
			var wg sync.WaitGroup
			var mu sync.Mutex
			stored, killed := 0, 0
			jobs := make(chan string)
			for range 2 {
				wg.Go(func() {
					for name := range jobs {
						for range each {
							mu.Lock()
							enough := killed >= atLeast && time.Now().After(end)
							mu.Unlock()
							if enough {
								break
							}
							n := killOne(t, name)
							mu.Lock()
							stored, killed = stored+n, killed+1
							mu.Unlock()
						}
					}
				})
			}
			for range kills / each {
				jobs <- kind + filepath.Join(t.TempDir(), "k")
			}
			close(jobs)
			wg.Wait()
			t.Logf("%d kills, %d entries found", killed, stored)
			if killed < atLeast || stored < killed {
				t.Errorf("%d entries after %d kills: too few were alive long enough", stored, killed)
			}
		})
	}
}

// killOne starts a process, kills it some time after its first word or its
// start, and looks at what it has left. It returns how long the log is.
func killOne(t *testing.T, name string) int {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childTask+"=run", childStore+"="+name)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Error(err)
		return 0
	}
	if err := cmd.Start(); err != nil {
		t.Error(err)
		return 0
	}
	after := time.Duration(rand.IntN(8000)) * time.Microsecond
	var timer *time.Timer
	if rand.IntN(5) == 0 {
		timer = time.AfterFunc(3*after, func() { _ = cmd.Process.Kill() })
	}
	last := ""
	for lines := bufio.NewReader(out); ; {
		line, err := lines.ReadString('\n')
		if strings.HasPrefix(line, "error") {
			t.Error(line)
			_ = cmd.Process.Kill()
		}
		if err != nil { // a line that was cut says nothing
			if !errors.Is(err, io.EOF) {
				t.Error(err)
			}
			break
		}
		if timer == nil {
			timer = time.AfterFunc(after, func() { _ = cmd.Process.Kill() })
		}
		last = strings.TrimSpace(line)
	}
	if timer != nil {
		timer.Stop()
	}
	_ = cmd.Wait() // killed
	return checkKilled(t, name, last)
}

// checkKilled looks whether what the process said it had stored is there.
func checkKilled(t *testing.T, name, said string) int {
	store, done, err := medium(t.Context(), name)
	if err != nil {
		t.Error(err)
		return 0
	}
	defer func() {
		if err := done(); err != nil {
			t.Error(err)
		}
	}()
	tell := &teller{Store: store}
	log, err := tell.Load(t.Context(), "k")
	if errors.Is(err, strands.ErrNotFound) && said == "" {
		return 0
	}
	if err != nil {
		t.Errorf("after %q: %v", said, err)
		return 0
	}
	lines := digest(log)
	if said != "" {
		n, want, _ := strings.Cut(said, " ")
		at := 0
		if _, err := fmt.Sscan(n, &at); err != nil || at > len(lines) {
			t.Errorf("it said %q, and %d entries are there", said, len(lines))
			return 0
		}
		is := lines[at-1]
		if at < len(lines) { // the state may be of what came after
			want, is = want[:strings.LastIndexByte(want, ' ')], strings.TrimSpace(is)
		}
		if is != want {
			t.Errorf("it said %q, and the log has %q there", said, is)
		}
	}
	a, err := gamblers(tell)
	if err != nil {
		t.Error(err)
		return 0
	}
	defer a.Close()
	s, err := a.Restore(t.Context(), "k")
	if err != nil {
		t.Error(err)
		return 0
	}
	if s.Pending() == nil {
		if err := strands.Validate(s.Messages()); err != nil {
			t.Errorf("what was restored: %v", err)
		}
	}
	return len(log)
}

// compete appends while others do.
func compete(ctx context.Context, store strands.Store, who string) error {
	for i := range 15 {
		for {
			log, err := store.Load(ctx, "k")
			if err != nil && !errors.Is(err, strands.ErrNotFound) {
				return err
			}
			err = store.Append(ctx, "k", int64(len(log)), strands.Entry{Message: new(strands.UserMessage(strands.Text(fmt.Sprint(who, " ", i))))})
			if err == nil {
				break
			}
			if !errors.Is(err, strands.ErrConflict) {
				return err
			}
		}
	}
	return nil
}

// TestProcessesCompete has several processes append to one session: whoever
// meets a conflict tries again, and nothing is lost or twice.
func TestProcessesCompete(t *testing.T) {
	for _, kind := range []string{"files:", "sqlite:"} {
		name := kind + filepath.Join(t.TempDir(), "k")
		var wg sync.WaitGroup
		for _, who := range []string{"a", "b", "c"} {
			wg.Go(func() {
				cmd := exec.Command(os.Args[0])
				cmd.Env = append(os.Environ(), childTask+"=compete "+who, childStore+"="+name)
				if out, err := cmd.CombinedOutput(); err != nil {
					t.Errorf("%s: %v\n%s", who, err, out)
				}
			})
		}
		wg.Wait()
		store, done, err := medium(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		log, err := store.Load(t.Context(), "k")
		if err = errors.Join(err, done()); err != nil {
			t.Fatal(err)
		}
		next := map[string]int{}
		for _, e := range log {
			var who string
			var n int
			if _, err := fmt.Sscan(e.Message.Text(), &who, &n); err != nil || n != next[who] {
				t.Errorf("%s: %q after %d of it", kind, e.Message.Text(), next[who])
			}
			next[who]++
		}
		if len(log) != 45 {
			t.Errorf("%s: %d entries of 45", kind, len(log))
		}
	}
}
