package pyenv

import (
	"context"
	"debug/elf"
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

//go:embed compile.py
var compileSource string

// surplus is what a distribution holds that no session can use: windows on a
// screen, tests, and what is for building C programs. It is 60 of 144 MB.
var surplus = []string{
	"lib/libtcl*", "lib/libtk*", "lib/tcl*", "lib/tk*", "lib/itcl*", "lib/thread*",
	"lib/python3.*/tkinter", "lib/python3.*/idlelib", "lib/python3.*/turtledemo", "lib/python3.*/turtle.py",
	"lib/python3.*/config-*",
	"lib/python3.*/lib-dynload/_tkinter*", "lib/python3.*/lib-dynload/_test*", "lib/python3.*/lib-dynload/_ctypes_test*",
	"lib/python3.*/lib-dynload/xx*",
}

// layout is part of the folders' names: raise it when what is done to a
// distribution after unpacking changes.
const layout = "1"

// distribution returns the embedded interpreter, unpacking it the first time.
func (m *Manager) distribution(ctx context.Context, dir string, tell func(string)) (*found, error) {
	d := m.Embedded
	it := item{cache: dir, kind: "python", name: d.Name + "-" + runtime.GOOS + "-" + runtime.GOARCH + "-" + layout}
	var result *found
	done := func() bool {
		f, err := readFound(it.record())
		// The time of the file is not looked at: an image builder may have set it.
		if err != nil || len(f.Files) == 0 || !within(f.Interpreter.Exe, it.dir()) {
			return false
		}
		is, err := stampOf(f.Interpreter.Exe)
		if err != nil || is.Size != f.Files[0].Size {
			return false
		}
		f.bundled, f.named = true, f.Interpreter.Exe
		result = f
		return true
	}
	var inside string // path of the binary inside the folder
	build := func(tmp string) error {
		tell("unpacking Python (first time, a few seconds)")
		exe, err := d.Extract(tmp)
		if err != nil {
			return fmt.Errorf("unpacking %s into %s: %w", d.Name, dir, err)
		}
		if exe, err = trim(exe); err != nil {
			return fmt.Errorf("unpacking %s into %s: %w", d.Name, dir, err)
		}
		if inside, err = filepath.Rel(tmp, exe); err != nil {
			return fmt.Errorf("unpacking %s into %s: %w", d.Name, dir, err)
		}
		tell("compiling the standard library")
		return compile(ctx, exe, tmp, it.dir())
	}
	seal := func() error {
		f, err := ask(ctx, filepath.Join(it.dir(), inside))
		if err != nil {
			return doesNotRun(err)
		}
		f.Interpreter.Hash = hash(it.name, f.Interpreter.Exe)
		f.bundled = true
		result = f
		return writeJSON(it.record(), f)
	}
	if err := it.make(ctx, tell, done, build, seal); err != nil {
		return nil, err
	}
	return result, nil
}

// doesNotRun says what to do about err: where the C library is not glibc, as in
// Alpine, the kernel finds the interpreter's file and not its loader.
func doesNotRun(err error) error {
	return fmt.Errorf("the embedded Python does not run on this machine (is its C library glibc?): set %s to a Python 3.%d or newer: %w",
		PythonVariable, oldestMinor, err)
}

// trim removes what is not needed from the distribution that exe belongs to
// and returns the path of the binary itself. The embedding stores links as
// copies, three times the 29 MB binary among them: they become links again.
func trim(exe string) (string, error) {
	if runtime.GOOS == "windows" {
		return exe, nil
	}
	bin := filepath.Dir(exe)
	home := filepath.Dir(bin)
	for _, pattern := range surplus {
		paths, err := filepath.Glob(filepath.Join(home, filepath.FromSlash(pattern)))
		if err != nil {
			return "", err
		}
		for _, path := range paths {
			if err := os.RemoveAll(path); err != nil {
				return "", err
			}
		}
	}
	binary, err := versioned(bin)
	if err != nil {
		return "", err
	}
	entries, err := os.ReadDir(bin)
	if err != nil {
		return "", err
	}
	for _, entry := range entries {
		name := entry.Name()
		if name == binary {
			continue
		}
		if err := os.Remove(filepath.Join(bin, name)); err != nil {
			return "", err
		}
		if name == "python" || name == "python3" {
			if err := os.Symlink(binary, filepath.Join(bin, name)); err != nil {
				return "", err
			}
		}
	}
	return filepath.Join(bin, binary), dropLibrary(home, filepath.Join(bin, binary))
}

// versioned returns the name of the binary that "python3" stands for:
// "python3.14".
func versioned(bin string) (string, error) {
	paths, err := filepath.Glob(filepath.Join(bin, "python3.*"))
	if err != nil {
		return "", err
	}
	for _, path := range paths {
		if name := filepath.Base(path); !strings.Contains(name, "-") {
			return name, nil
		}
	}
	return "", fmt.Errorf("no python3.N in %s", bin)
}

// compile writes the byte code of every module below tmp as if it lay in
// final already. The sources are never looked at again, so that the folder may
// be read-only and the first import of a session costs nothing more: 25 ms
// instead of 88 ms to the first answer.
func compile(ctx context.Context, exe, tmp, final string) error {
	cmd := exec.CommandContext(ctx, exe, "-I", "-B", "-c", compileSource, tmp, final)
	cmd.Env = pythonEnv()
	var last string
	if err := runLines(ctx, cmd, func(line string) { last = line }); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if errors.Is(err, fs.ErrNotExist) {
			return doesNotRun(err)
		}
		return fmt.Errorf("compiling %s: %w: %s", final, err, last)
	}
	return nil
}

// dropLibrary removes libpython, two copies of 20 MB, where the binary does
// not load it: only programs that embed Python would.
func dropLibrary(home, exe string) error {
	if runtime.GOOS != "linux" {
		return nil
	}
	binary, err := elf.Open(exe)
	if err != nil {
		return err
	}
	defer binary.Close()
	needed, err := binary.ImportedLibraries()
	if err != nil {
		return err
	}
	if slices.ContainsFunc(needed, func(lib string) bool { return strings.HasPrefix(lib, "libpython") }) {
		return nil
	}
	libs, err := filepath.Glob(filepath.Join(home, "lib", "libpython3*"))
	if err != nil {
		return err
	}
	for _, lib := range libs {
		if err := os.Remove(lib); err != nil {
			return err
		}
	}
	return nil
}
