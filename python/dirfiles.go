package python

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/strandsgo/strands"
)

// Files are looked at when somebody asks for tools or calls one, not watched:
// a stat of each costs microseconds, needs neither goroutine nor descriptor,
// and sees what inotify does not, such as edits on a network or bind mount.

const (
	maxToolFile  = 1 << 20 // bytes of source
	maxToolFiles = 256     // in a folder
	racy         = 2 * time.Second
)

// item is a file, a module or a function of one, from which tools are loaded.
type item struct {
	key      string // for people, and for the worker
	root     *root  // the folder that imports begin in
	module   string // its name there
	function string // "" = all of the module's
	file     *watched
	listed   bool // by Directory.Load

	// What is in use.
	source  string
	version string // "" = nothing was loaded
	tools   []offered

	// The last attempt.
	seen    int // root.generation
	listing string
	err     *LoadError
}

// offered is a *fileTool, or a *streamFileTool made of one.
type offered interface {
	strands.Tool
	function() *fileTool
}

// stale says whether something changed since the last attempt.
func (it *item) stale() bool {
	if it.root.changed() {
		it.root.generation++
		it.root.fresh = true
		it.root.served = map[string]*watched{}
	}
	return it.listing == "" || it.seen != it.root.generation || it.file != nil && it.file.changed() ||
		it.err != nil && it.listing != it.root.listing()
}

func keysOf(items []*item) []string {
	keys := make([]string, len(items))
	for i, it := range items {
		keys[i] = it.key
	}
	return keys
}

// root is a folder from which tools import.
type root struct {
	dir        string
	generation int                 // counts the changes of what was imported
	fresh      bool                // the worker must forget what it imported
	served     map[string]*watched // what it imported, by path
}

func (r *root) changed() bool {
	for _, w := range r.served {
		if w.changed() {
			return true
		}
	}
	return false
}

// names are what can be imported from the folder itself.
func (r *root) names() []string {
	entries, err := os.ReadDir(r.dir)
	if err != nil {
		return nil
	}
	var names []string
	for _, e := range entries {
		name, isFile := strings.CutSuffix(e.Name(), ".py")
		if isIdentifier(name) && (isFile || isDir(filepath.Join(r.dir, e.Name()))) {
			names = append(names, name)
		}
	}
	return slices.Compact(names)
}

func (r *root) listing() string { return "." + strings.Join(r.names(), ",") }

// source finds a module for an import. The name comes from the worker.
func (r *root) source(name string) (path, source string, pkg, ok bool, err error) {
	if !isModuleName(name) {
		return "", "", false, false, nil
	}
	base := filepath.Join(r.dir, filepath.Join(strings.Split(name, ".")...))
	for _, c := range []struct {
		path string
		pkg  bool
	}{{filepath.Join(base, "__init__.py"), true}, {base + ".py", false}} {
		source, err := readSource(c.path)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", "", false, false, err
		}
		w := &watched{path: c.path}
		w.note(source, err)
		r.served[c.path] = w // also when it is not there: it may come
		if err == nil {
			return c.path, source, c.pkg, true, nil
		}
	}
	if isDir(base) {
		return base, "", true, true, nil // a package that only holds others
	}
	return "", "", false, false, nil
}

// watched is a file as it was last read.
type watched struct {
	path string
	mod  time.Time
	size int64 // -1 = it is not there
	read time.Time
	sum  [sha256.Size]byte
}

// note remembers what was read.
func (w *watched) note(source string, err error) {
	w.size, w.read, w.sum = -1, time.Now(), sha256.Sum256([]byte(source))
	if info, statErr := os.Stat(w.path); err == nil && statErr == nil {
		w.size, w.mod = info.Size(), info.ModTime()
	}
}

// changed says whether the content is another. A file that was read within two
// seconds of its last change is read again: it may have changed within one
// tick of its clock.
func (w *watched) changed() bool {
	info, err := os.Stat(w.path)
	if err != nil {
		return w.size >= 0
	}
	if info.Size() == w.size && info.ModTime().Equal(w.mod) && w.read.Sub(w.mod) > racy {
		return false
	}
	source, err := readSource(w.path)
	if err != nil {
		return w.size >= 0 || !errors.Is(err, fs.ErrNotExist)
	}
	if w.size < 0 || sha256.Sum256([]byte(source)) != w.sum {
		return true
	}
	w.note(source, nil)
	return false
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// readSource reads a file of sensible size; a pipe would never end.
func readSource(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() {
		return "", fmt.Errorf("%s is no file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxToolFile+1))
	if err != nil {
		return "", err
	}
	if len(b) > maxToolFile {
		return "", fmt.Errorf("%s is longer than %d bytes", path, maxToolFile)
	}
	return strings.ToValidUTF8(strings.TrimPrefix(string(b), "\ufeff"), "\ufffd"), nil
}

// find lists what there is to load, in order. The lock is held.
func (d *Directory) find() ([]*item, error) {
	base, err := d.base()
	if err != nil {
		return nil, err
	}
	var items []*item
	if folder := d.folder(); folder != "" {
		dir := folder
		if !filepath.IsAbs(dir) {
			dir = filepath.Join(base, dir)
		}
		if items, err = d.inFolder(folder, dir); err != nil {
			return nil, err
		}
	}
	for _, what := range d.Load {
		it, err := d.named(base, what)
		if err != nil {
			return nil, err
		}
		if !slices.ContainsFunc(items, func(o *item) bool { return o.key == it.key }) {
			items = append(items, it)
		}
	}
	return items, nil
}

// inFolder lists the tool files of a folder. One that is not there has none;
// a folder that was named must exist at first.
func (d *Directory) inFolder(name, dir string) ([]*item, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		if d.Path != "" && !d.loaded {
			return nil, &strands.InputError{Field: "Directory.Path", Reason: fmt.Sprintf("%q cannot be read as a folder: %v", d.Path, err)}
		}
		return nil, nil
	}
	var items []*item
	for _, e := range entries { // sorted
		stem, isPython := strings.CutSuffix(e.Name(), ".py")
		if !isPython || stem == "" || stem[0] == '_' || stem[0] == '.' || e.IsDir() || e.Type()&fs.ModeSymlink != 0 && isDir(filepath.Join(dir, e.Name())) {
			continue
		}
		if len(items) == maxToolFiles {
			d.log().Warn("a folder of tools has more files than are looked at", "folder", name, "most", maxToolFiles)
			break
		}
		items = append(items, &item{
			key: filepath.Join(name, e.Name()), root: d.rootAt(dir), module: stem,
			file: &watched{path: filepath.Join(dir, e.Name()), size: -1},
		})
	}
	return items, nil
}

// named is an item of Load.
func (d *Directory) named(base, what string) (*item, error) {
	path := what
	if rest, ok := strings.CutPrefix(what, "~/"); ok {
		if home, err := os.UserHomeDir(); err == nil {
			path = filepath.Join(home, rest)
		}
	}
	if !filepath.IsAbs(path) {
		path = filepath.Join(base, path)
	}
	module, function, hasFunction := strings.Cut(what, ":")
	if _, err := os.Stat(path); err == nil && !isDir(path) || strings.HasSuffix(what, ".py") {
		stem := strings.TrimSuffix(filepath.Base(path), ".py")
		return &item{
			key: what, root: d.rootAt(filepath.Dir(path)), module: stem, file: &watched{path: path, size: -1}, listed: true,
		}, nil
	}
	if !isModuleName(module) || hasFunction && !isIdentifier(function) {
		return nil, &strands.InputError{Field: "Directory.Load", Reason: fmt.Sprintf(
			`%q is neither a file nor a module; write "dir/file.py", "pkg.mod" or "pkg.mod:func"`, what)}
	}
	return &item{key: what, root: d.rootAt(base), module: module, function: function, listed: true}, nil
}

func (d *Directory) rootAt(dir string) *root {
	r := d.roots[dir]
	if r == nil {
		r = &root{dir: dir, served: map[string]*watched{}}
		d.roots[dir] = r
	}
	return r
}
