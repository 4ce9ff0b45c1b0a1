package pyenv

import (
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

//go:embed probe.py
var probeSource string

const (
	oldestMinor  = 10 // Python 3.10
	probeTimeout = 30 * time.Second
)

// probed is what an interpreter says about itself; probe.py prints it.
type probed struct {
	Implementation string   `json:"implementation"`
	Version        string   `json:"version"`
	Exe            string   `json:"exe"`
	Prefix         string   `json:"prefix"`
	Base           string   `json:"base"`
	BaseExec       string   `json:"base_exec"`
	Path           []string `json:"path"`
	Stdlib         []string `json:"stdlib"`
	Library        []string `json:"library"`
	Watched        []string `json:"watched"`
	Pip            string   `json:"pip"`
}

// found is an interpreter with what only this package needs to know of it. It
// is kept on disk, so that asking the interpreter happens once.
type found struct {
	Interpreter Interpreter
	Pip         string  // folder of its own pip package; "" = none
	Files       []stamp // when one of them changes, found is out of date

	named   string // the path it was found under: for an environment its own python, not the real binary
	bundled bool   // it is the embedded one, which has no packages
}

// stamp is a file or folder as it was.
type stamp struct {
	Path  string
	Size  int64
	MTime int64 // Unix nanoseconds
}

func stampOf(path string) (stamp, error) {
	info, err := os.Stat(path)
	if err != nil {
		return stamp{}, err
	}
	s := stamp{Path: path, MTime: info.ModTime().UnixNano()}
	if info.Mode().IsRegular() {
		s.Size = info.Size()
	}
	return s, nil
}

// fresh reports whether the stamped files are still as they were.
func fresh(files []stamp) bool {
	for _, was := range files {
		if is, err := stampOf(was.Path); err != nil || is != was {
			return false
		}
	}
	return len(files) > 0
}

// ask runs the interpreter called exe and returns what it is.
func ask(ctx context.Context, exe string) (*found, error) {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, exe, "-I", "-B", "-c", probeSource)
	cmd.Env = pythonEnv()
	cmd.WaitDelay = time.Second
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		if line := lastLine(stderr.String()); line != "" {
			err = fmt.Errorf("%w: %s", err, clip(line))
		}
		return nil, fmt.Errorf("%s does not run as Python 3.%d or newer: %w", exe, oldestMinor, err)
	}
	var p probed
	if err := json.Unmarshal([]byte(lastLine(string(out))), &p); err != nil {
		return nil, fmt.Errorf("%s is not a Python interpreter: it did not answer a question about itself", exe)
	}
	if err := p.check(exe); err != nil {
		return nil, err
	}
	f, err := p.found()
	if err == nil {
		f.named = exe
	}
	return f, err
}

// check refuses what a worker cannot run on.
func (p *probed) check(exe string) error {
	if p.Implementation != "cpython" {
		return fmt.Errorf("%s is %s; CPython 3.%d or newer is needed", exe, p.Implementation, oldestMinor)
	}
	major, rest, _ := strings.Cut(p.Version, ".")
	minor, _, _ := strings.Cut(rest, ".")
	if n, err := strconv.Atoi(minor); major != "3" || err != nil || n < oldestMinor {
		return fmt.Errorf("%s is Python %s; 3.%d or newer is needed", exe, p.Version, oldestMinor)
	}
	if !filepath.IsAbs(p.Exe) || !filepath.IsAbs(p.Prefix) || len(p.Path) == 0 {
		return fmt.Errorf("%s cannot say where it is installed", exe)
	}
	return nil
}

func (p *probed) found() (*found, error) {
	f := &found{Pip: p.Pip, Interpreter: Interpreter{
		Exe: p.Exe, Version: p.Version, Prefix: p.Prefix, Base: p.Base, Path: p.Path, Roots: p.roots(),
	}}
	for _, path := range append([]string{p.Exe}, p.Watched...) {
		s, err := stampOf(path)
		if err != nil {
			return nil, fmt.Errorf("looking at the Python installation: %w", err)
		}
		f.Files = append(f.Files, s)
	}
	// The folders that packages are installed into are left out: a package more
	// makes no other interpreter.
	exe := f.Files[0]
	f.Interpreter.Hash = hash(p.Version, p.Prefix, p.Base, exe.Path, strconv.FormatInt(exe.Size, 10), strconv.FormatInt(exe.MTime, 10))
	return f, nil
}

// askCached is ask with the answer kept below dir. A script is asked each
// time: what a shim runs depends on more than the shim. That dir cannot be
// written only costs time.
func askCached(ctx context.Context, dir, exe string) (*found, error) {
	if dir == "" || isScript(exe) {
		return ask(ctx, exe)
	}
	name := filepath.Join(dir, "probed", hash(exe)+".json")
	if f, err := readFound(name); err == nil && fresh(f.Files) {
		f.named = exe
		return f, nil
	}
	f, err := ask(ctx, exe)
	if err != nil {
		return nil, err
	}
	if makeDir(filepath.Dir(name)) == nil {
		_ = writeJSON(name, f)
	}
	return f, nil
}

func isScript(path string) bool {
	file, err := os.Open(path)
	if err != nil {
		return false
	}
	defer file.Close()
	var head [2]byte
	n, _ := file.Read(head[:])
	return string(head[:n]) == "#!"
}

func readFound(name string) (*found, error) {
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	var f found
	if err := json.Unmarshal(data, &f); err != nil {
		return nil, err
	}
	if f.Interpreter.Exe == "" {
		return nil, errors.New("no interpreter in " + name)
	}
	return &f, nil
}

// writeJSON replaces name in one step, so that no reader sees half of it.
func writeJSON(name string, v any) error {
	data, err := json.MarshalIndent(v, "", "\t")
	if err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(name), filepath.Base(name)+".tmp-")
	if err != nil {
		return err
	}
	_, err = tmp.Write(data)
	err = errors.Join(err, tmp.Chmod(0o644), tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), name)
	}
	if err != nil {
		_ = os.Remove(tmp.Name())
	}
	return err
}

// pythonEnv is the program's environment without what would change how a
// Python starts.
func pythonEnv() []string {
	var env []string
	for _, entry := range os.Environ() {
		if name, _, _ := strings.Cut(entry, "="); !strings.HasPrefix(strings.ToUpper(name), "PYTHON") && name != "VIRTUAL_ENV" {
			env = append(env, entry)
		}
	}
	return env
}

func lastLine(text string) string {
	text = strings.TrimSpace(text)
	return strings.TrimSpace(text[strings.LastIndexByte(text, '\n')+1:])
}

// clip cuts what a program printed to what an error of one line can hold.
func clip(text string) string {
	const most = 300
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return text
}

// hash returns a short name for the parts; it is no secret's protection.
func hash(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return hex.EncodeToString(sum[:10])
}
