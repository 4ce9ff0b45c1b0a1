package artifact

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/strandsgo/strands"
)

// Directory is a Store that keeps artifacts in a folder of this machine, those
// of each run in one of its own.
type Directory struct {
	Dir string // made when it is not there; "" = the current one
}

// Put implements Store. The Path of what it returns is absolute. A name, or a
// symbolic link, that leads out of the folder is an error.
func (d *Directory) Put(ctx context.Context, run string, a strands.Artifact, data io.ReadSeeker) (strands.Artifact, error) {
	if err := ctx.Err(); err != nil {
		return a, context.Cause(ctx)
	}
	dir, err := filepath.Abs(filepath.Join(d.Dir, run))
	if err != nil {
		return a, fmt.Errorf("artifact: %w", err)
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return a, fmt.Errorf("artifact: making the folder for artifacts: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return a, fmt.Errorf("artifact: opening the folder for artifacts: %w", err)
	}
	defer root.Close()
	name := filepath.FromSlash(a.Name)
	if err := write(root, name, data); err != nil {
		return a, fmt.Errorf("artifact: storing %s: %w", a.Name, err)
	}
	a.Path = filepath.Join(dir, name)
	return a, nil
}

// write replaces a file at once: who reads it sees the old one or the new.
func write(root *os.Root, name string, data io.Reader) error {
	if parent := filepath.Dir(name); parent != "." {
		if err := root.MkdirAll(parent, 0o777); err != nil {
			return err
		}
	}
	part := filepath.Join(filepath.Dir(name), ".strands-"+rand.Text()) // nobody's name, and never too long
	f, err := root.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, data)
	if err = errors.Join(err, f.Close()); err == nil {
		err = root.Rename(part, name)
	}
	if err != nil {
		return errors.Join(err, root.Remove(part))
	}
	return nil
}
