package sandbox

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// folder holds the folders of one zygote's sessions on the host's disk. Its
// lock is held as long as this program lives; a folder that nobody holds is
// swept by the next program.
type folder struct {
	path string
	lock *os.File
}

const (
	folderPattern = "strands-session-*"
	lockName      = ".lock"
	// settling is how long a folder may be without a holder: it is made, then
	// locked.
	settling = time.Minute
)

// MakeFolder makes a private folder for a process that is not confined, and
// sweeps those of killed programs. remove takes it away.
func MakeFolder() (path string, remove func() error, err error) {
	f, err := newFolder("", false)
	if err != nil {
		return "", nil, err
	}
	return f.path, f.remove, nil
}

// newFolder makes a folder below dir. shared says that sessions run as other
// users, who must pass through it.
func newFolder(dir string, shared bool) (*folder, error) {
	if dir == "" {
		dir = os.TempDir()
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("sandbox: %w", err)
	}
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return nil, fmt.Errorf("sandbox: folder of sessions: %w", err)
	}
	if shared {
		if err := passable(dir, "set TMPDIR to a folder that all can enter"); err != nil {
			return nil, fmt.Errorf("sandbox: folder of sessions: %w", err)
		}
	}
	sweepFolders(dir)
	path, err := os.MkdirTemp(dir, folderPattern)
	if err != nil {
		return nil, fmt.Errorf("sandbox: folder of sessions: %w", err)
	}
	f := &folder{path: path}
	if shared {
		err = os.Chmod(path, 0o711)
	}
	if err == nil {
		f.lock, err = os.OpenFile(filepath.Join(path, lockName), os.O_CREATE|os.O_RDWR, 0o600)
	}
	if err == nil {
		err = unix.Flock(int(f.lock.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("sandbox: folder of sessions: %w", err), f.remove())
	}
	return f, nil
}

// passable refuses a path that other users cannot get to, and says what to do.
func passable(path, advice string) error {
	for {
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		if info.IsDir() && info.Mode().Perm()&0o001 == 0 {
			return fmt.Errorf("sessions run as another user, who cannot pass through %s (mode %04o): %s",
				path, info.Mode().Perm(), advice)
		}
		if path == filepath.Dir(path) {
			return nil
		}
		path = filepath.Dir(path)
	}
}

// reachable refuses an interpreter in a folder that is closed to the users of
// sessions, as homes often are. Only where sessions see the host's paths: in a
// root of their own it lies elsewhere.
func reachable(py Python) error {
	for _, path := range append([]string{py.Exe}, py.Roots...) {
		real, err := filepath.EvalSymlinks(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			err = passable(real, "choose an interpreter (STRANDS_PYTHON) or a folder of environments (STRANDS_CACHE) that all can enter")
		}
		if err != nil {
			return &isolationError{level: LevelFiltered, step: err.Error(), passing: true}
		}
	}
	return nil
}

// session makes the private folder of one session.
func (f *folder) session(uid int) (string, error) {
	path, err := os.MkdirTemp(f.path, "s-*")
	if err != nil {
		return "", fmt.Errorf("sandbox: folder of the session: %w", err)
	}
	for _, p := range []string{path, filepath.Join(path, "work"), filepath.Join(path, "tmp")} {
		if err = os.Mkdir(p, 0o700); err != nil && p != path {
			break
		}
		if err = os.Lchown(p, uid, -1); err != nil {
			break
		}
	}
	if err != nil {
		return "", errors.Join(fmt.Errorf("sandbox: folder of the session: %w", err), os.RemoveAll(path))
	}
	return path, nil
}

func (f *folder) remove() error {
	err := os.RemoveAll(f.path)
	if f.lock != nil {
		f.lock.Close()
	}
	return err
}

// sweepFolders removes what programs left that were killed together with
// their zygotes.
func sweepFolders(dir string) {
	found, err := filepath.Glob(filepath.Join(dir, folderPattern))
	if err != nil {
		return
	}
	for _, path := range found {
		info, err := os.Lstat(path)
		if err != nil || !info.IsDir() || time.Since(info.ModTime()) < settling {
			continue
		}
		if st, ok := info.Sys().(*syscall.Stat_t); !ok || int(st.Uid) != os.Geteuid() {
			continue
		}
		lock, err := os.OpenFile(filepath.Join(path, lockName), os.O_RDWR|unix.O_NOFOLLOW, 0)
		if err == nil && unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil {
			_ = os.RemoveAll(path)
		}
		if err == nil {
			lock.Close()
		}
	}
}
