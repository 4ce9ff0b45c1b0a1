package pyenv

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// PythonVariable names the environment variable that chooses the interpreter.
const PythonVariable = "STRANDS_PYTHON"

// find returns the interpreter without packages.
func (m *Manager) find(ctx context.Context, tell func(string)) (*found, error) {
	name, source := m.Python, "the interpreter"
	if name == "" {
		name, source = os.Getenv(PythonVariable), "$"+PythonVariable
	}
	dir, dirErr := m.dir()
	if dirErr != nil {
		dir = "" // only what must be written needs a cache
	}
	switch {
	case name != "":
		exe, err := exec.LookPath(name)
		if err != nil {
			return nil, fmt.Errorf("%s: %q cannot be run: name a Python 3.%d or newer", source, name, oldestMinor)
		}
		f, err := askCached(ctx, dir, exe)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", source, err)
		}
		return f, nil
	case m.Embedded != nil:
		if dirErr != nil {
			return nil, dirErr
		}
		return m.distribution(ctx, dir, tell)
	}
	return searchPath(ctx, dir)
}

// searchPath returns the first Python on PATH that is new enough.
func searchPath(ctx context.Context, cache string) (*found, error) {
	var why []string
	for _, exe := range candidates() {
		f, err := askCached(ctx, cache, exe)
		if err == nil {
			return f, nil
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		why = append(why, err.Error())
	}
	if len(why) == 0 {
		return nil, fmt.Errorf("no Python on PATH: install Python 3.%d or newer, or name one in %s", oldestMinor, PythonVariable)
	}
	return nil, fmt.Errorf("no usable Python on PATH (%s): install Python 3.%d or newer, or name one in %s",
		strings.Join(why, "; "), oldestMinor, PythonVariable)
}

// candidates returns the pythons on PATH in order. A folder that is not
// absolute is left out, as exec.LookPath does.
func candidates() []string {
	var list []string
	for _, dir := range filepath.SplitList(os.Getenv("PATH")) {
		for _, name := range []string{"python3", "python"} {
			if runtime.GOOS == "windows" {
				name += ".exe"
			}
			path := filepath.Join(dir, name)
			if !filepath.IsAbs(path) || slices.Contains(list, path) {
				continue
			}
			if exe, err := exec.LookPath(path); err == nil {
				list = append(list, exe)
			}
		}
	}
	return list
}
