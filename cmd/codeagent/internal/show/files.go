package show

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"mime"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"

	"github.com/strandsgo/strands"
)

// Folder is where pictures and files that code made go. It never replaces
// what is there: a name that is taken gets a number. The zero Folder is the
// current one. It is safe for concurrent use.
type Folder struct {
	Dir   string
	Saved func(path string) // told of each; nil = nobody is

	mu    sync.Mutex
	paths map[string]string // where the files went, by their names
}

// Picture saves a picture as figure-1.png, figure-2.png and so on, and returns
// its path.
func (f *Folder) Picture(m *strands.Media) (string, error) {
	ext := ".png"
	if m.MIME != "image/png" {
		if all, _ := mime.ExtensionsByType(m.MIME); len(all) > 0 {
			ext = all[0]
		}
	}
	for n := 1; ; n++ {
		p, err := f.create(fmt.Sprintf("figure-%d%s", n, ext), bytes.NewReader(m.Data))
		if !errors.Is(err, fs.ErrExist) {
			return p, err
		}
	}
}

// File saves a file under its own name, below the folder, and returns its path.
func (f *Folder) File(name string, data io.Reader) (string, error) {
	wanted, ext := name, path.Ext(name)
	stem := strings.TrimSuffix(name, ext)
	for n := 1; ; n++ {
		p, err := f.create(name, data)
		if err == nil {
			f.note(wanted, p)
		}
		if !errors.Is(err, fs.ErrExist) {
			return p, err
		}
		name = fmt.Sprintf("%s-%d%s", stem, n+1, ext)
	}
}

// Path returns where the file of that name was saved last; the name itself
// when it was not.
func (f *Folder) Path(name string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return cmp.Or(f.paths[name], name)
}

func (f *Folder) note(name, path string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.paths == nil {
		f.paths = map[string]string{}
	}
	f.paths[name] = path
}

// create writes a new file. os.Root keeps names and symbolic links that code
// chose from leading out of the folder.
func (f *Folder) create(name string, data io.Reader) (string, error) {
	dir := f.Dir
	if dir == "" {
		dir = "."
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return "", fmt.Errorf("making the folder for pictures and files: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return "", fmt.Errorf("opening the folder for pictures and files: %w", err)
	}
	defer root.Close()
	name = filepath.FromSlash(name)
	if parent := filepath.Dir(name); parent != "." {
		if err := root.MkdirAll(parent, 0o777); err != nil {
			return "", fmt.Errorf("saving %s: %w", name, err)
		}
	}
	w, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return "", fmt.Errorf("saving %s: %w", name, err)
	}
	_, err = io.Copy(w, data)
	if err = errors.Join(err, w.Close()); err != nil {
		return "", fmt.Errorf("saving %s: %w", name, err)
	}
	p := filepath.Join(dir, name)
	if f.Saved != nil {
		f.Saved(p)
	}
	return p, nil
}
