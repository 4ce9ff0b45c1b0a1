package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/strandsgo/strands/artifact"
	"github.com/strandsgo/strands/artifact/s3"
	"github.com/strandsgo/strands/python"
)

// dataFlags are the files that code is given, and where those go that it
// makes.
type dataFlags struct {
	data      []string
	artifacts string
}

func (f *dataFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringArrayVar(&f.data, "data", nil, "give the code a file or folder of this machine, or an object like s3://bucket/key; read-only in the sandbox (repeatable)")
}

func (f *dataFlags) addArtifacts(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.artifacts, "artifacts", "", "keep pictures and files in a folder, or in s3://bucket/prefix, and list them with links below the answer (instead of --out)")
}

const (
	defaultDisk = 256 << 20
	leastDisk   = 16 << 20 // that is left to the code
)

// given is what code is given, ready to be used.
type given struct {
	binds  []python.Bind
	inputs []python.Input
	used   int64  // bytes of the session's disk
	folder string // of what was fetched; "" = nothing was
}

// open makes the data available to sessions of backend. Objects of S3 are
// fetched now, and count against disk; those for a backend that cannot see
// this machine's files are fetched when a session begins.
func (f *dataFlags) open(ctx context.Context, backend python.Interpreter, disk int64, progress func(string)) (g *given, err error) {
	g = &given{}
	defer func() {
		if err != nil {
			err = errors.Join(err, g.close())
		}
	}()
	if disk == 0 {
		disk = defaultDisk
	}
	box, sandboxed := backend.(*python.Sandboxed)
	level := python.LevelNamespaces
	if sandboxed && len(f.data) > 0 {
		i, err := box.Isolation(ctx)
		if err != nil {
			return g, err
		}
		level = i.Level
	}
	names := map[string]bool{}
	for _, d := range f.data {
		name := path.Base(filepath.ToSlash(d))
		if names[name] {
			return g, usagef("--data %s: there is another %s; rename one", d, name)
		}
		names[name] = true
		switch {
		case strings.HasPrefix(d, "s3://") && sandboxed:
			err = g.fetch(ctx, d, disk, level, progress)
		case strings.HasPrefix(d, "s3://"):
			err = g.stream(d)
		default:
			err = g.local(d, sandboxed, level)
		}
		if err != nil {
			return g, err
		}
	}
	return g, nil
}

// object finds the bucket of an address.
func object(address string) (*s3.Bucket, string, error) {
	name, key, err := s3.Parse(address)
	if err != nil || key == "" || strings.HasSuffix(key, "/") {
		return nil, "", usagef("--data %s: give an object, like s3://bucket/folder/sales.csv", address)
	}
	return &s3.Bucket{Name: name}, key, nil
}

// fetch brings an object onto this machine, where sessions read it.
func (g *given) fetch(ctx context.Context, address string, disk int64, level python.Level, progress func(string)) error {
	b, key, err := object(address)
	if err != nil {
		return err
	}
	size, err := b.Size(ctx, key)
	if err != nil {
		return err
	}
	if room := disk - leastDisk - g.used; size > room {
		return usagef("--data %s has %d MiB, and the session's disk has room for %d: give --disk %dM or more",
			address, (size+1<<20-1)>>20, room>>20, (g.used+size+leastDisk+1<<20-1)>>20)
	}
	if g.folder == "" {
		if g.folder, err = stagingFolder(); err != nil {
			return err
		}
	}
	progress(fmt.Sprintf("fetching %s (%d MiB)", address, (size+1<<20-1)>>20))
	file := filepath.Join(g.folder, "data", path.Base(key))
	w, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return fmt.Errorf("fetching %s: %w", address, err)
	}
	n, err := b.Copy(ctx, key, w, size)
	if err = errors.Join(err, w.Close()); err != nil {
		return err
	}
	g.used += n
	g.bind(file, level)
	return nil
}

// stagingFolder is on a disk, not in memory, and can be passed through by the
// user that sessions run as, though not listed.
func stagingFolder() (string, error) {
	parent := os.TempDir()
	if info, err := os.Stat("/var/tmp"); err == nil && info.IsDir() && os.Getenv("TMPDIR") == "" {
		parent = "/var/tmp"
	}
	dir, err := os.MkdirTemp(parent, "codeagent-data-")
	if err == nil {
		err = errors.Join(os.Chmod(dir, 0o711), os.Mkdir(filepath.Join(dir, "data"), 0o755))
	}
	if err != nil {
		return dir, fmt.Errorf("making a folder for the data: %w", err)
	}
	return dir, nil
}

func (g *given) bind(file string, level python.Level) {
	target := "/mnt/" + filepath.Base(file)
	if level != python.LevelNamespaces {
		target = file
	}
	g.binds = append(g.binds, python.Bind{Source: file, Target: target})
}

// local offers a file of this machine: where it lies, or copied into each
// session that cannot see it.
func (g *given) local(name string, sandboxed bool, level python.Level) error {
	file, err := filepath.Abs(name)
	if err == nil {
		file, err = filepath.EvalSymlinks(file)
	}
	if err != nil {
		return usagef("--data %s: %w", name, err)
	}
	info, err := os.Stat(file)
	switch {
	case err != nil:
		return usagef("--data %s: %w", name, err)
	case sandboxed:
		g.bind(file, level)
		return nil
	case !info.Mode().IsRegular():
		return usagef("--data %s: it is no file, and only files can be copied into a session of this interpreter", name)
	}
	g.inputs = append(g.inputs, python.Input{Name: filepath.Base(file), Open: func(context.Context) (io.ReadCloser, error) { return os.Open(file) }})
	return nil
}

// stream offers an object that is copied into each session as it begins.
func (g *given) stream(address string) error {
	b, key, err := object(address)
	if err != nil {
		return err
	}
	g.inputs = append(g.inputs, python.Input{Name: path.Base(key), Open: func(ctx context.Context) (io.ReadCloser, error) { return b.Open(ctx, key) }})
	return nil
}

// words say where the files are.
func (g *given) words() string {
	var names []string
	for _, b := range g.binds {
		names = append(names, b.Target)
	}
	for _, in := range g.inputs {
		names = append(names, in.Name)
	}
	return strings.Join(names, ", ")
}

func (g *given) close() error {
	if g == nil || g.folder == "" {
		return nil
	}
	return os.RemoveAll(g.folder)
}

// keeper is what --artifacts asks for; nil when it is not given.
func (f *dataFlags) keeper(errOut io.Writer) (*artifact.Keeper, error) {
	if f.artifacts == "" {
		return nil, nil
	}
	k := &artifact.Keeper{Logger: slogTo(errOut)}
	if !strings.HasPrefix(f.artifacts, "s3://") {
		k.Local = &artifact.Directory{Dir: f.artifacts}
		return k, nil
	}
	name, prefix, err := s3.Parse(f.artifacts)
	if err != nil {
		return nil, usagef("--artifacts %s: give a folder, or s3://bucket/prefix", f.artifacts)
	}
	k.Store = &s3.Bucket{Name: name, Prefix: prefix}
	return k, nil
}

// left is the disk that is left to the code: 0 = the default.
func (g *given) left(disk int64) int64 {
	switch {
	case g.used == 0:
		return disk
	case disk == 0:
		return defaultDisk - g.used
	}
	return disk - g.used
}

// give adds the data to what exec runs code in, and says where it is.
func (f *pythonFlags) give(ctx context.Context, env *environment, errOut io.Writer) error {
	g, err := f.dataFlags.open(ctx, env.interpreter, int64(f.disk), env.options.Progress)
	if err != nil {
		return err
	}
	env.data = g
	env.options.Binds, env.options.Inputs, env.options.Limits.Disk = g.binds, g.inputs, g.left(int64(f.disk))
	if words := g.words(); words != "" {
		fmt.Fprintln(errOut, "codeagent: data:", words)
	}
	return nil
}
