//go:build unix

package main_test

import (
	"bufio"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// talk is a running program that can be written to and read from.
type talk struct {
	t      *testing.T
	cmd    *exec.Cmd
	in     io.WriteCloser
	out    *bufio.Scanner
	errOut notes
}

// notes is standard error, to be waited for.
type notes struct {
	mu   sync.Mutex
	text strings.Builder
	more chan struct{} // closed when there is more
}

func (n *notes) Write(p []byte) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.more != nil {
		close(n.more)
		n.more = nil
	}
	return n.text.Write(p)
}

func (n *notes) String() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.text.String()
}

// until waits for s.
func (n *notes) until(t *testing.T, s string) {
	t.Helper()
	for timeout := time.After(soon); ; {
		n.mu.Lock()
		text := n.text.String()
		if n.more == nil {
			n.more = make(chan struct{})
		}
		more := n.more
		n.mu.Unlock()
		if strings.Contains(text, s) {
			return
		}
		select {
		case <-more:
		case <-timeout:
			t.Fatalf("%q never came on standard error: %s", s, text)
		}
	}
}

func start(t *testing.T, args ...string) *talk {
	t.Helper()
	c := call{args: args, dir: t.TempDir()}
	if err := os.WriteFile(filepath.Join(c.dir, "s.yaml"), []byte(script), 0o600); err != nil {
		t.Fatal(err)
	}
	k := &talk{t: t, cmd: c.command(t)}
	// A group of its own, as a shell makes one: Ctrl-C goes to all of it.
	k.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	var err error
	if k.in, err = k.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := k.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	k.out, k.cmd.Stderr = bufio.NewScanner(out), &k.errOut
	if err := k.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return k
}

func (k *talk) say(line string) {
	k.t.Helper()
	if _, err := io.WriteString(k.in, line+"\n"); err != nil {
		k.t.Fatal(err)
	}
}

// until reads lines up to one that contains s.
func (k *talk) until(s string) {
	k.t.Helper()
	var seen []string
	for k.out.Scan() {
		seen = append(seen, k.out.Text())
		if strings.Contains(k.out.Text(), s) {
			return
		}
	}
	err := k.cmd.Wait()
	k.t.Fatalf("%q never came; there was %q, %v, %s", s, seen, err, k.errOut.String())
}

func (k *talk) ctrlC() {
	k.t.Helper()
	if err := syscall.Kill(-k.cmd.Process.Pid, syscall.SIGINT); err != nil {
		k.t.Fatal(err)
	}
}

// end waits for the program and returns its exit code.
func (k *talk) end() int {
	k.t.Helper()
	timer := time.AfterFunc(soon, func() { _ = k.cmd.Process.Kill() })
	defer timer.Stop()
	for k.out.Scan() {
	}
	if _, ok := errors.AsType[*exec.ExitError](k.cmd.Wait()); !ok && k.cmd.ProcessState.ExitCode() != 0 {
		k.t.Error("the program could not be waited for")
	}
	return k.cmd.ProcessState.ExitCode()
}

func TestInterruptRun(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sleep.yaml")
	text := "turns:\n  - python: |\n      import time\n      print('asleep')\n      time.sleep(1000)\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	k := start(t, "run", "--model", "scripted:"+path, "q")
	k.until("    asleep")
	k.ctrlC()
	if code := k.end(); code != 130 {
		t.Errorf("exit code %d: %s", code, k.errOut.String())
	}
}

// TestInterruptChat: Ctrl-C ends the answer and not the talk.
func TestInterruptChat(t *testing.T) {
	k := start(t, "chat", "--model", "scripted:s.yaml")
	k.say("What is 2 ** 10?")
	k.until("It is 1024.")
	k.say("Sleep.")
	k.until("    asleep")
	k.ctrlC()
	k.say("Are you there?")
	k.until("Bye.")
	k.say("/exit")
	if code := k.end(); code != 0 || !strings.Contains(k.errOut.String(), "codeagent: stopped") {
		t.Errorf("exit code %d: %s", code, k.errOut.String())
	}
}

func TestInterruptChatTwice(t *testing.T) {
	k := start(t, "chat", "--model", "scripted:s.yaml")
	k.say("What is 2 ** 10?")
	k.until("It is 1024.")
	k.say("Sleep.")
	k.until("    asleep")
	k.ctrlC()
	// Two signals at once would be one: the kernel does not count them.
	k.errOut.until(t, "codeagent: stopped")
	// The next one counts as the second only within two seconds, which may be
	// over on a busy machine: then it is a first one, and one more follows.
	ended := make(chan struct{})
	var presses sync.WaitGroup
	presses.Go(func() {
		for tick := time.NewTicker(500 * time.Millisecond); ; {
			_ = syscall.Kill(-k.cmd.Process.Pid, syscall.SIGINT) // it may have ended
			select {
			case <-tick.C:
			case <-ended:
				return
			}
		}
	})
	code := k.end()
	close(ended)
	presses.Wait()
	if code != 130 {
		t.Errorf("exit code %d: %s", code, k.errOut.String())
	}
}

func TestInterruptExec(t *testing.T) {
	k := start(t, "exec", "-c", "import time\nprint('asleep')\ntime.sleep(1000)")
	k.until("asleep")
	k.ctrlC()
	if code := k.end(); code != 130 {
		t.Errorf("exit code %d: %s", code, k.errOut.String())
	}
}
