package pyenv

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/gofrs/flock"
)

// CacheVariable names the environment variable that chooses the cache folder.
const CacheVariable = "STRANDS_CACHE"

// systemCache is where root keeps environments: a session of root's gives up
// its user id and could not look into a home folder.
const systemCache = "/var/cache/strands"

// dir returns the cache folder as an absolute path. The folder need not exist;
// when it does, nobody else can have put files there.
func (m *Manager) dir() (string, error) {
	dir, err := m.chosenDir()
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(dir); err != nil {
		return dir, nil // whoever needs to write finds out why
	}
	return dir, trusted(dir)
}

func (m *Manager) chosenDir() (string, error) {
	switch {
	case m.Dir != "":
		return filepath.Abs(m.Dir)
	case os.Getenv(CacheVariable) != "":
		return filepath.Abs(os.Getenv(CacheVariable))
	case os.Geteuid() == 0:
		return systemCache, Reachable(filepath.Dir(systemCache))
	}
	base, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("no cache folder: set %s to a folder that can be written (%w)", CacheVariable, err)
	}
	return filepath.Join(base, "strands"), nil
}

// Reachable reports whether any user of the machine can get to path: what a
// session that gave up its user id needs where the kernel lets it see the
// machine's own folders. The error names the folder that is closed.
func Reachable(path string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	path, err := filepath.EvalSymlinks(path)
	if err != nil {
		return fmt.Errorf("set %s to another folder: %w", CacheVariable, err)
	}
	for {
		info, err := os.Stat(path)
		if err != nil {
			return fmt.Errorf("set %s to another folder: %w", CacheVariable, err)
		}
		if info.IsDir() && info.Mode().Perm()&0o001 == 0 {
			return fmt.Errorf("%s is closed to other users (mode %04o), so a confined session cannot read what is below it: set %s to a folder that all can enter",
				path, info.Mode().Perm(), CacheVariable)
		}
		up := filepath.Dir(path)
		if up == path {
			return nil
		}
		path = up
	}
}

// makeDir makes path and what is missing above it, open to all readers
// whatever the umask.
func makeDir(path string) error {
	if info, err := os.Stat(path); err == nil {
		if !info.IsDir() {
			return &fs.PathError{Op: "mkdir", Path: path, Err: errors.New("there is a file of this name")}
		}
		return nil
	}
	if up := filepath.Dir(path); up != path {
		if err := makeDir(up); err != nil {
			return err
		}
	}
	if err := os.Mkdir(path, 0o755); err != nil {
		if errors.Is(err, fs.ErrExist) { // another process was faster
			return nil
		}
		return err
	}
	return os.Chmod(path, 0o755)
}

// prepare makes the cache folder and proves that it can be written and that
// nobody else could have put files there.
func prepare(dir string) error {
	if err := makeDir(dir); err != nil {
		return unwritable(dir, err)
	}
	if err := trusted(dir); err != nil {
		return err
	}
	probe, err := os.CreateTemp(dir, ".writable-")
	if err != nil {
		return unwritable(dir, err)
	}
	return errors.Join(probe.Close(), os.Remove(probe.Name()))
}

func unwritable(dir string, err error) error {
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		err = p.Err
	}
	return fmt.Errorf("the cache folder %s cannot be written (%w): set %s to one that can", dir, err, CacheVariable)
}

// item is a folder of the cache that appears complete or not at all.
type item struct {
	cache string // the cache folder
	kind  string // "python", "pip", "envs"
	name  string
}

func (i item) dir() string { return filepath.Join(i.cache, i.kind, i.name) }

// record is the marker of a complete folder. It lies inside, so that it goes
// with it.
func (i item) record() string { return filepath.Join(i.dir(), "interpreter.json") }

// make returns once the folder is there and done says so. build fills a folder
// of another name, which then takes its place; seal completes it. Of several
// processes one builds and the others wait; what a killed one left is removed.
func (i item) make(ctx context.Context, tell func(string), done func() bool, build func(tmp string) error, seal func() error) error {
	if done() {
		return nil
	}
	if err := prepare(i.cache); err != nil {
		return err
	}
	kind := filepath.Join(i.cache, i.kind)
	if err := makeDir(kind); err != nil {
		return unwritable(i.cache, err)
	}
	unlock, err := i.lock(ctx, tell)
	if err != nil {
		return err
	}
	defer unlock()
	if done() {
		return nil
	}
	i.sweep()
	tmp, err := os.MkdirTemp(kind, i.name+".tmp-")
	if err != nil {
		return unwritable(i.cache, err)
	}
	if tmp, err = filepath.EvalSymlinks(tmp); err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	if err := build(tmp); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := open(tmp); err != nil {
		return err
	}
	if err := i.publish(tmp); err != nil {
		return err
	}
	return seal()
}

// lock waits for the item's file lock. The kernel frees it when its holder
// dies.
func (i item) lock(ctx context.Context, tell func(string)) (unlock func(), err error) {
	lock := flock.New(filepath.Join(i.cache, i.kind, i.name+".lock"))
	ok, err := lock.TryLock()
	if err == nil && !ok {
		tell("waiting for another process that is preparing the same Python")
		_, err = lock.TryLockContext(ctx, 50*time.Millisecond)
	}
	if err != nil {
		return nil, fmt.Errorf("locking the cache folder %s: %w", i.cache, err)
	}
	return func() { _ = lock.Close() }, nil
}

// sweep removes what builders that were killed left behind. The lock is held,
// so none of them is at work.
func (i item) sweep() {
	left, _ := filepath.Glob(filepath.Join(i.cache, i.kind, i.name+".tmp-*"))
	for _, path := range left {
		_ = os.RemoveAll(path)
	}
}

// publish puts tmp in the item's place. An incomplete folder there is moved
// away first.
func (i item) publish(tmp string) error {
	if _, err := os.Lstat(i.dir()); err == nil {
		old := tmp + "-old" // sweep finds it if we die here
		if err := rename(i.dir(), old); err != nil {
			return fmt.Errorf("replacing an incomplete folder of the cache: %w", err)
		}
		defer os.RemoveAll(old)
	}
	if err := rename(tmp, i.dir()); err != nil {
		return fmt.Errorf("completing a folder of the cache: %w", err)
	}
	return nil
}

// rename retries for a moment on Windows, where a virus scanner may hold a new
// file open.
func rename(from, to string) error {
	err := os.Rename(from, to)
	for try := 0; err != nil && runtime.GOOS == "windows" && try < 20; try++ {
		time.Sleep(100 * time.Millisecond)
		err = os.Rename(from, to)
	}
	return err
}

// open lets every user read dir, whatever umask its files were made under: a
// session may run under another user id.
func open(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.Type()&fs.ModeSymlink != 0 {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		mode := info.Mode().Perm() | 0o444
		if d.IsDir() || mode&0o100 != 0 {
			mode |= 0o111
		}
		if mode &^= 0o022; mode != info.Mode().Perm() {
			return os.Chmod(path, mode)
		}
		return nil
	})
}
