package pyenv

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"
)

// runLines runs cmd, which was made with ctx, and calls line with each line
// that it prints, on the caller's goroutine. When ctx ends, cmd is killed with
// all it started.
func runLines(ctx context.Context, cmd *exec.Cmd, line func(string)) error {
	// The kernel sends the death signal when the thread that started the process
	// ends, so that thread must live as long as the process.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	contain(cmd)
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer r.Close()
	cmd.Stdout, cmd.Stderr = w, w
	err = cmd.Start()
	_ = w.Close()
	if err != nil {
		return err
	}
	// A grandchild that left the group could hold the pipe open for ever.
	stop := context.AfterFunc(ctx, func() { _ = r.SetReadDeadline(time.Now().Add(2 * time.Second)) })
	defer stop()
	lines := bufio.NewReader(r)
	for {
		text, err := lines.ReadString('\n')
		if text = strings.TrimRight(text, "\r\n"); text != "" {
			line(text)
		}
		if err != nil {
			if !errors.Is(err, io.EOF) && ctx.Err() == nil {
				_ = cmd.Cancel()
			}
			return cmd.Wait()
		}
	}
}
