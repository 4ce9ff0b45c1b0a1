package session_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	strands "github.com/strandsgo/strands"
	"github.com/strandsgo/strands/session"
)

const killDir = "STRANDS_TEST_KILL_DIR"

// TestMain makes the test binary the writer that TestKilledWriter kills.
func TestMain(m *testing.M) {
	if dir := os.Getenv(killDir); dir != "" {
		appendForever(session.Files{Dir: dir})
		return
	}
	os.Exit(m.Run())
}

func killText(n int64) string { return fmt.Sprintf("%d %s", n, strings.Repeat("x", int(n%7)*500)) }

// appendForever says on stdout what it has appended.
func appendForever(store session.Files) {
	ctx := context.Background()
	log, err := store.Load(ctx, "k")
	if err != nil && !errors.Is(err, strands.ErrNotFound) {
		fmt.Println(err)
		os.Exit(1)
	}
	for last := int64(len(log)); ; last += 3 {
		err := store.Append(ctx, "k", last,
			strands.Entry{Message: new(strands.UserMessage(strands.Text(killText(last + 1))))},
			strands.Entry{Message: new(strands.AssistantMessage(strands.Text(killText(last + 2))))},
			strands.Entry{State: &strands.SessionState{Dropped: int(last)}})
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println(last + 3)
	}
}

// TestKilledWriter kills a writer at random moments, 60 times or
// STRANDS_TEST_KILLS times, and looks for what it said it had written.
func TestKilledWriter(t *testing.T) {
	kills := 60
	if s := os.Getenv("STRANDS_TEST_KILLS"); s != "" {
		var err error
		if kills, err = strconv.Atoi(s); err != nil {
			t.Fatal(err)
		}
	}
	var dir string
	var all int64
	for i := range kills {
		if i%10 == 0 {
			dir = t.TempDir() // the first moments of a session are the hardest
		}
		said := killedWriter(t, dir, time.Duration(rand.IntN(6000))*time.Microsecond)
		checkKilled(t, session.Files{Dir: dir}, said)
		all += said
	}
	if all == 0 {
		t.Error("no writer was alive long enough to write")
	}
}

// killedWriter returns the number of the last entry that the writer said it
// had written before it was killed, some time after its first word.
func killedWriter(t *testing.T, dir string, after time.Duration) int64 {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), killDir+"="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kill := func() { _ = cmd.Process.Kill() }
	var last int64
	var timer *time.Timer
	if rand.IntN(4) == 0 {
		timer = time.AfterFunc(5*after, kill) // perhaps in its first Append
	}
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if timer == nil {
			timer = time.AfterFunc(after, kill)
		}
		if last, err = strconv.ParseInt(lines.Text(), 10, 64); err != nil {
			kill()
			t.Fatalf("the writer said %q", lines.Text())
		}
	}
	if timer != nil {
		timer.Stop()
	}
	_ = cmd.Wait() // killed
	return last
}

func checkKilled(t *testing.T, store session.Files, said int64) {
	t.Helper()
	log, err := store.Load(t.Context(), "k")
	if errors.Is(err, strands.ErrNotFound) && said == 0 {
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	if int64(len(log)) < said || len(log)%3 != 0 {
		t.Fatalf("%d entries, of %d that were written", len(log), said)
	}
	for i, e := range log {
		if want := killText(int64(i) + 1); e.State == nil && e.Message.Text() != want {
			t.Fatalf("entry %d is %.20q, want %.20q", i+1, e.Message.Text(), want)
		}
	}
	if got := log[len(log)-1].State.Dropped; got != len(log)-3 {
		t.Fatalf("the state is of %d, not of %d", got, len(log)-3)
	}
}

// TestLeftovers has a writer die between the messages and the log file, and in
// the middle of a file: nothing of that is in the log, and the next Append
// removes it.
func TestLeftovers(t *testing.T) {
	f := session.Files{Dir: t.TempDir()}
	agent := filepath.Join(f.Dir, "session_s", "agents", "agent_default")
	if err := f.Append(t.Context(), "s", 0, said("a")); err != nil {
		t.Fatal(err)
	}
	commit, err := os.ReadFile(filepath.Join(agent, "strands_go.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Append(t.Context(), "s", 1, said("lost"), said("lost"), said("lost")); err != nil {
		t.Fatal(err)
	}
	temp := filepath.Join(f.Dir, "session_s", ".strands_go_1.tmp")
	for path, data := range map[string][]byte{filepath.Join(agent, "strands_go.json"): commit, temp: []byte(`{"me`)} {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if log := load(t, f, "s"); len(log) != 1 {
		t.Errorf("%d entries with what was never committed", len(log))
	}
	for i, text := range []string{"b", "c", "d", "e"} {
		if err := f.Append(t.Context(), "s", int64(i)+1, said(text)); err != nil {
			t.Fatal(err)
		}
		if log := load(t, f, "s"); len(log) != i+2 || log[i+1].Message.Text() != text {
			t.Fatalf("the log is %s", jsonText(t, log))
		}
		for _, name := range []string{temp, filepath.Join(agent, "messages", "message_3.json")} {
			if _, err := os.Stat(name); i == 0 && !errors.Is(err, os.ErrNotExist) {
				t.Errorf("%s is still there: %v", name, err)
			}
		}
	}
}
