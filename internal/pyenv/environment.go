package pyenv

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

//go:embed satisfied.py
var satisfiedSource string

// environment returns base with reqs importable: base itself when it has
// them, else an environment of the cache, made the first time.
func (m *Manager) environment(ctx context.Context, base *found, reqs []requirement, tell func(string)) (*found, error) {
	dir, err := m.dir()
	if err != nil {
		dir = ""
	}
	if !base.bundled && m.satisfied(ctx, dir, base, reqs) {
		return base, nil
	}
	if err != nil {
		return nil, err
	}
	key := hash(append(texts(reqs), base.Interpreter.Hash, runtime.GOOS, runtime.GOARCH)...)
	it := item{cache: dir, kind: "envs", name: key}
	var result *found
	done := func() bool {
		f, err := readFound(it.record())
		if err != nil || f.Interpreter.Prefix != it.dir() {
			return false
		}
		if _, err := os.Stat(f.Interpreter.Exe); err != nil {
			return false
		}
		result = f
		return true
	}
	start := time.Now()
	build := func(tmp string) error {
		inst, err := m.installer(ctx, dir, base, tell)
		if err != nil {
			return err
		}
		if err := fill(ctx, tmp, it.dir(), base, reqs, inst, tell); err != nil {
			return err
		}
		return tidy(tmp)
	}
	seal := func() error {
		f, err := ask(ctx, venvPython(it.dir()))
		if err != nil {
			return fmt.Errorf("the environment for %s: %w", names(reqs), err)
		}
		f.Interpreter.Hash = hash(key, f.Interpreter.Exe)
		f.Files = f.Files[:1]
		result = f
		if err := writeJSON(it.record(), f); err != nil {
			return unwritable(dir, err)
		}
		tell(fmt.Sprintf("installed %s in %s", names(reqs), time.Since(start).Round(100*time.Millisecond)))
		return nil
	}
	if err := it.make(ctx, tell, done, build, seal); err != nil {
		return nil, err
	}
	return result, nil
}

// fill makes an environment in tmp that will lie in final.
func fill(ctx context.Context, tmp, final string, base *found, reqs []requirement, inst *installer, tell func(string)) error {
	tell("making an environment with " + names(reqs))
	cmd := exec.CommandContext(ctx, base.Interpreter.Exe, "-I", "-B", "-m", "venv", "--without-pip", tmp)
	cmd.Env = pythonEnv()
	var last string
	if err := runLines(ctx, cmd, func(line string) { last = line }); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return fmt.Errorf("making an environment of %s: %w: %s", base.Interpreter.Exe, err, last)
	}
	if err := inst.install(ctx, tmp, reqs, tell); err != nil {
		return err
	}
	tell("compiling " + names(reqs))
	return compile(ctx, base.Interpreter.Exe, tmp, final)
}

// tidy removes what names the temporary folder: the scripts that packages
// bring, which no session can start, and the command in pyvenv.cfg.
func tidy(tmp string) error {
	bin := filepath.Dir(venvPython(tmp))
	entries, err := os.ReadDir(bin)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), "python") {
			continue
		}
		if err := os.RemoveAll(filepath.Join(bin, entry.Name())); err != nil {
			return err
		}
	}
	cfg := filepath.Join(tmp, "pyvenv.cfg")
	data, err := os.ReadFile(cfg)
	if err != nil {
		return err
	}
	var kept strings.Builder
	for line := range strings.Lines(string(data)) {
		if !strings.HasPrefix(line, "command") {
			kept.WriteString(line)
		}
	}
	return os.WriteFile(cfg, []byte(kept.String()), 0o644)
}

func venvPython(dir string) string {
	if runtime.GOOS == "windows" {
		return filepath.Join(dir, "Scripts", "python.exe")
	}
	return filepath.Join(dir, "bin", "python")
}

// answer is whether an interpreter has some requirements, kept on disk.
type answer struct {
	Yes   bool
	Files []stamp // as they were when it was asked
}

// satisfied reports whether base can import reqs as it is. Not being able to
// tell is no. The answer is kept below dir; "" = nowhere.
func (m *Manager) satisfied(ctx context.Context, dir string, base *found, reqs []requirement) bool {
	name := filepath.Join(dir, "probed", hash(append(texts(reqs), base.Interpreter.Hash, "satisfied")...)+".json")
	if dir != "" {
		var a answer
		if data, err := os.ReadFile(name); err == nil && json.Unmarshal(data, &a) == nil && fresh(a.Files) {
			return a.Yes
		}
	}
	var lib string // pip holds a parser of requirements; many environments have none of their own
	if dir != "" && m.Embedded != nil && m.Embedded.Pip != nil {
		lib, _ = m.embeddedPip(ctx, dir, func(string) {})
	}
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	// Under the name it was found by: an environment's own python finds its packages.
	cmd := exec.CommandContext(ctx, base.named, append([]string{"-I", "-B", "-c", satisfiedSource, lib}, texts(reqs)...)...)
	cmd.Env = pythonEnv()
	cmd.WaitDelay = time.Second
	out, err := cmd.Output()
	if err != nil {
		return false
	}
	a := answer{Yes: string(bytes.TrimSpace(out)) == "yes", Files: base.Files}
	if dir != "" && makeDir(filepath.Dir(name)) == nil {
		_ = writeJSON(name, a)
	}
	return a.Yes
}
