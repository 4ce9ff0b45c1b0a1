package session

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// FileError is a file of a session that is corrupt or was not written by a
// session store. The file is left as it is.
type FileError struct {
	Path string
	Err  error
}

// Error implements error.
func (e *FileError) Error() string {
	return fmt.Sprintf("strands: session file %s: %v; repair it, or delete the session", e.Path, e.Err)
}

// Unwrap returns what is wrong with the file.
func (e *FileError) Unwrap() error { return e.Err }

// tempPrefix begins the names of files that are being written. A killed writer
// leaves one; the next writer of that session removes it.
const tempPrefix = ".strands_go_"

// writeFile puts data at path, whole or not at all. temp is a folder of the
// same file system. The caller syncs the folder of path.
func writeFile(temp, path string, data []byte) (err error) {
	f, err := os.CreateTemp(temp, tempPrefix+"*.tmp") // mode 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// syncDir makes what was renamed in dir survive a power cut.
func syncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil // a folder cannot be synced there
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// makeDir makes dir and its missing parents, and syncs what it changed.
func makeDir(dir string) error {
	if info, err := os.Stat(dir); err == nil && info.IsDir() {
		return nil
	}
	parent := filepath.Dir(dir)
	if parent != dir {
		if err := makeDir(parent); err != nil {
			return err
		}
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncDir(parent)
}

// folder is a session on disk; it is a layout.Medium. Whoever writes holds the
// lock.
type folder string

func (at folder) path(name string) string { return filepath.Join(string(at), filepath.FromSlash(name)) }

// Read follows no symbolic link: whoever can make one could have another file
// read as a session.
func (at folder) Read(ctx context.Context, names ...string) ([][]byte, error) {
	raws := make([][]byte, len(names))
	for i, name := range names {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		info, err := os.Lstat(at.path(name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil && !info.Mode().IsRegular() {
			err = at.Broken(name, errors.New("it is not a regular file"))
		}
		if err == nil {
			raws[i], err = os.ReadFile(at.path(name))
		}
		if err != nil {
			return nil, fmt.Errorf("strands: read session: %w", err)
		}
	}
	return raws, nil
}

func (at folder) List(_ context.Context, dir string) ([]string, error) {
	entries, err := os.ReadDir(at.path(dir))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("strands: read session: %w", err)
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names, nil
}

// Begin makes what the SDK expects beside the files, and removes what killed
// writers left. The lock is claim enough.
func (at folder) Begin(context.Context, string, []byte) error {
	if err := makeDir(at.path("multi_agents")); err != nil {
		return fmt.Errorf("strands: write session: %w", err)
	}
	if err := sweep(string(at)); err != nil {
		return fmt.Errorf("strands: write session: %w", err)
	}
	return nil
}

// Write is not cut short when ctx ends: a log half-written helps nobody.
func (at folder) Write(_ context.Context, objects map[string][]byte) error {
	changed := map[string]bool{}
	for name, data := range objects {
		dir := filepath.Dir(at.path(name))
		if !changed[dir] {
			if err := makeDir(dir); err != nil {
				return fmt.Errorf("strands: write session: %w", err)
			}
		}
		changed[dir] = true
		if err := writeFile(string(at), at.path(name), data); err != nil {
			return fmt.Errorf("strands: write session: %w", err)
		}
	}
	for dir := range changed {
		if err := syncDir(dir); err != nil {
			return fmt.Errorf("strands: write session: %w", err)
		}
	}
	return nil
}

func (at folder) Remove(_ context.Context, names []string) error {
	for _, name := range names {
		if err := os.Remove(at.path(name)); err != nil {
			return fmt.Errorf("strands: write session: %w", err)
		}
	}
	return nil
}

func (at folder) Broken(name string, err error) error { return &FileError{at.path(name), err} }

// sweep removes what killed writers left in dir. The caller holds the lock.
func sweep(dir string) error {
	names, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, n := range names {
		if strings.HasPrefix(n.Name(), tempPrefix) {
			if err := os.Remove(filepath.Join(dir, n.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

// exists says whether there is something at path.
func exists(path string) (bool, error) {
	_, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}
