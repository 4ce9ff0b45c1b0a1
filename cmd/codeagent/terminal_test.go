//go:build unix

package main_test

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"
)

// onTerminal runs the program on a terminal and returns what it wrote there.
func onTerminal(t *testing.T, c call) (shown string, code int) {
	t.Helper()
	c.dir = t.TempDir()
	if err := os.WriteFile(filepath.Join(c.dir, "s.yaml"), []byte(script), 0o600); err != nil {
		t.Fatal(err)
	}
	c.env = append(c.env, "TERM=xterm-256color")
	cmd := c.command(t)
	tty, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 40, Cols: 100})
	if err != nil {
		t.Fatal(err)
	}
	defer tty.Close()
	timer := time.AfterFunc(soon, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	out, _ := io.ReadAll(tty) // ends with an error when the program does
	_ = cmd.Wait()
	return strings.ReplaceAll(string(out), "\r\n", "\n"), cmd.ProcessState.ExitCode()
}

func TestTerminal(t *testing.T) {
	shown, code := onTerminal(t, call{args: []string{"run", "--model", "scripted:s.yaml", "q"}})
	if code != 0 || !strings.Contains(shown, "\x1b[") || !strings.Contains(shown, "▌") || !strings.Contains(shown, "1024") {
		t.Errorf("exit code %d, %q", code, shown)
	}
	shown, code = onTerminal(t, call{args: []string{"run", "--model", "scripted:s.yaml", "q"}, env: []string{"NO_COLOR=1"}})
	if code != 0 || strings.Contains(shown, "\x1b[") || !strings.Contains(shown, "▌ print(2 ** 10)") || !strings.Contains(shown, "It is 1024.") {
		t.Errorf("NO_COLOR: exit code %d, %q", code, shown)
	}
}

// TestTerminalIsSafe: what code prints does not control the terminal.
func TestTerminalIsSafe(t *testing.T) {
	shown, code := onTerminal(t, call{args: []string{"exec", "-c", `print("\x1b]0;owned\x07")`}})
	if code != 0 || strings.Contains(shown, "\x1b") || !strings.Contains(shown, "␛]0;owned") {
		t.Errorf("exit code %d, %q", code, shown)
	}
}
