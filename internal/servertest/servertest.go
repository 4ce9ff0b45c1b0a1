//go:build unix

// Package servertest starts real database servers for tests: those of this
// machine, or else Debian's packages, which it fetches and unpacks into the
// cache folder, without installing them. A test that cannot have its server is
// skipped; where CI is set it fails.
package servertest

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const patience = 5 * time.Minute // for a server to be ready, on a busy machine

// missing skips t, or fails it in CI.
func missing(t testing.TB, format string, args ...any) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatalf(format, args...)
	}
	t.Skipf(format, args...)
}

// cache is a folder that outlives the tests.
func cache(t testing.TB, name string) string {
	t.Helper()
	root := os.Getenv("STRANDS_CACHE")
	if root == "" && os.Geteuid() == 0 {
		root = "/var/cache/strands" // a server that refuses to run as root could not enter root's home
	}
	if root == "" {
		var err error
		if root, err = os.UserCacheDir(); err != nil {
			t.Fatal(err)
		}
		root = filepath.Join(root, "strands")
	}
	dir := filepath.Join(root, "tests", name)
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// made returns a folder of the cache, which fill fills the first time. Of
// several processes that want it at once one fills it and the others wait.
func made(t testing.TB, name string, fill func(dir string) error) (string, error) {
	t.Helper()
	dir := cache(t, name)
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	lock, err := os.OpenFile(dir+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return "", err
	}
	defer lock.Close() // ends the lock, as the process's end does
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		return "", err
	}
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	tmp, err := os.MkdirTemp(filepath.Dir(dir), name+".*")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(tmp)
	if err := fill(tmp); err != nil {
		return "", err
	}
	if err := os.Chmod(tmp, 0o755); err != nil {
		return "", err
	}
	return dir, os.Rename(tmp, dir)
}

// debian unpacks packages into a folder.
func debian(t testing.TB, packages ...string) (string, error) {
	t.Helper()
	return made(t, packages[0], func(dir string) error {
		if out, err := fetching(func() ([]byte, error) {
			return command(dir, "apt-get", append([]string{"-o", "Acquire::Retries=5", "download"}, packages...)...)
		}); err != nil {
			return fmt.Errorf("apt-get download %s: %w\n%s", strings.Join(packages, " "), err, out)
		}
		debs, err := filepath.Glob(filepath.Join(dir, "*.deb"))
		if err != nil {
			return err
		}
		for _, deb := range debs {
			if out, err := command(dir, "dpkg", "-x", deb, dir); err != nil {
				return fmt.Errorf("dpkg -x: %w\n%s", err, out)
			}
			if err := os.Remove(deb); err != nil {
				return err
			}
		}
		return nil
	})
}

// fetching does what needs the network, and again when that fails: a proxy that
// is out of breath for once is no reason to fail.
func fetching(do func() ([]byte, error)) (out []byte, err error) {
	for try := 1; ; try++ {
		if out, err = do(); err == nil || try == 3 {
			return out, err
		}
		time.Sleep(time.Duration(try) * 5 * time.Second)
	}
}

func command(dir, name string, args ...string) ([]byte, error) {
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	return cmd.CombinedOutput()
}

// libraries is the environment in which the programs of an unpacked package
// find its libraries.
func libraries(root string) []string {
	folders, _ := filepath.Glob(filepath.Join(root, "usr/lib/*-linux-gnu")) // the pattern is right
	more, _ := filepath.Glob(filepath.Join(root, "lib/*-linux-gnu"))
	return append(os.Environ(), "LD_LIBRARY_PATH="+strings.Join(slices.Concat(folders, more), ":"))
}

// short is a folder whose path is short enough for a socket.
func short(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "srv")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// start runs a server until the test ends, and waits until it says ready.
func start(t testing.TB, cmd *exec.Cmd, ready string) {
	t.Helper()
	r, w := io.Pipe()
	cmd.Stdout, cmd.Stderr = w, w
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		err := cmd.Wait()
		w.Close()
		ended <- err
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGQUIT) // PostgreSQL's word for: at once
		select {
		case <-ended:
		case <-time.After(time.Minute):
			_ = cmd.Process.Kill()
			<-ended
		}
	})
	late := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
	defer late.Stop()
	var said bytes.Buffer
	for lines := bufio.NewScanner(r); lines.Scan(); {
		fmt.Fprintln(&said, lines.Text())
		if strings.Contains(lines.Text(), ready) {
			go io.Copy(io.Discard, r) // else the server would block
			return
		}
	}
	t.Fatalf("%s ended before it was ready:\n%s", cmd.Path, said.String())
}

// freePort is a port of loopback that nobody listens on now.
func freePort(t testing.TB) string {
	t.Helper()
	host := "127.0.0.1"
	if pid := os.Getpid(); runtime.GOOS == "linux" { // an address of this process's own: no other takes its ports
		host = fmt.Sprintf("127.%d.%d.%d", 1+pid>>16&0x7f, pid>>8&0xff, pid&0xff)
	}
	l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
