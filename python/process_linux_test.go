package python

import (
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// TestEndedWorkerKillsNoStranger: what a worker started in its group ends with
// it, and whoever has its number afterwards is left alone.
func TestEndedWorkerKillsNoStranger(t *testing.T) {
	b := &Exec{Logger: quietly()}
	defer b.Close()
	s, err := b.Open(t.Context(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var said strings.Builder
	for event, err := range s.Exec(t.Context(), "import subprocess\nprint(subprocess.Popen(['sleep', '1000']).pid)") {
		if err != nil {
			t.Fatal(err)
		}
		said.WriteString(event.Stdout)
	}
	left, err := strconv.Atoi(strings.TrimSpace(said.String()))
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := unix.PidfdOpen(left, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(theirs)

	p := s.(*session).wire.proc.(*plainProcess)
	if err := p.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-p.done
	if n, err := unix.Poll([]unix.PollFd{{Fd: int32(theirs), Events: unix.POLLIN}}, 60_000); n != 1 {
		t.Errorf("what the worker started lives on: %v", err)
	}

	stranger := exec.Command("sleep", "1000")
	stranger.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := stranger.Start(); err != nil {
		t.Fatal(err)
	}
	own := p.cmd.Process
	p.cmd.Process = stranger.Process // as if the number came again
	p.kill()
	p.cmd.Process = own
	if err := stranger.Process.Signal(syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	_ = stranger.Wait() // says the signal
	if got := stranger.ProcessState.Sys().(syscall.WaitStatus).Signal(); got != syscall.SIGTERM {
		t.Errorf("a stranger was ended by %v", got)
	}
}
