package python

import (
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/strandsgo/strands/internal/frame"
)

// burning is the pid of a process that always wants the processor.
func burning(t *testing.T) int {
	t.Helper()
	cmd := exec.Command("sh", "-c", "while :; do :; done")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	until(t, func() string {
		if !hasThread(cmd.Process.Pid, running) {
			return "the loop does not run"
		}
		return ""
	})
	return cmd.Process.Pid
}

// TestGraceIsTheWorkersTime: a worker that wants to run and is not given the
// processor is waited for; one that has it and does not come back is killed,
// and so is one that never gets it, in the end.
func TestGraceIsTheWorkersTime(t *testing.T) {
	pid := burning(t)
	for name, c := range map[string]struct {
		comes bool                           // once it is seen that it had no time
		cpu   func(look int64) time.Duration // used up to then
		kill  time.Duration
		lost  bool
	}{
		"starved":          {true, func(int64) time.Duration { return 0 }, 500 * time.Millisecond, false},
		"starved for ever": {false, func(int64) time.Duration { return 0 }, 5 * time.Millisecond, true},
		"at work":          {false, func(look int64) time.Duration { return time.Duration(look) * time.Hour }, 5 * time.Millisecond, true},
	} {
		t.Run(name, func(t *testing.T) {
			var looks atomic.Int64
			looked := make(chan struct{})
			s := openFake(t, Options{Timeout: 5 * time.Millisecond}, serve(func(p *fakePeer, id frame.RunID, code string) {
				select {
				case <-looked:
					p.send(frame.Done, id, doneOK)
				case <-p.closed:
				}
			}), func(p *fakeProcess) {
				p.pid = func() int {
					select {
					case <-looked: // it has come, and sleeps
						return -1
					default:
						return pid
					}
				}
				p.cpu = func() time.Duration {
					n := looks.Add(1)
					if n == 4 && c.comes { // a look before and a look after either signal
						close(looked)
					}
					return c.cpu(n)
				}
			})
			s.timings.again, s.timings.kill = time.Nanosecond, c.kill
			res := mustExec(t, s, "loop")
			if res.StateLost != c.lost || c.lost && !strings.Contains(res.Lost, "native code") {
				t.Errorf("state lost: %v (%s)", res.StateLost, res.Lost)
			}
		})
	}
}

// TestAStarvedWorkerDoesNotBurn: after an interrupt one that has no turn for a
// while, and then sleeps, has no threads that go on.
func TestAStarvedWorkerDoesNotBurn(t *testing.T) {
	pid := burning(t)
	for name, c := range map[string]struct {
		starves int64 // looks
		gets    time.Duration
		lost    bool
	}{
		"for a while":             {30, 0, false},
		"for ever":                {1 << 30, 0, true},
		"with a little, for ever": {1 << 30, time.Microsecond, true},
	} {
		t.Run(name, func(t *testing.T) {
			var looks, asked atomic.Int64
			s := openFake(t, Options{Timeout: 5 * time.Millisecond}, serve(func(p *fakePeer, id frame.RunID, code string) {
				p.interrupted()
				p.send(frame.Done, id, doneOK)
			}), func(p *fakeProcess) {
				p.pid = func() int {
					if looks.Add(1) > c.starves {
						return -1
					}
					return pid
				}
				p.cpu = func() time.Duration { return time.Duration(asked.Add(1)) * c.gets }
			})
			s.timings.again = time.Minute
			if res := mustExec(t, s, "loop"); res.StateLost != c.lost || c.lost && !strings.Contains(res.Lost, "threads") {
				t.Errorf("state lost: %v (%s)", res.StateLost, res.Lost)
			}
		})
	}
}
