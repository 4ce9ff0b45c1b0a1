package main

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	osexec "os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/strandsgo/strands/python"
	"github.com/strandsgo/strands/python/embedded"
)

// The releases that are compared.
var (
	peerPackages = []string{
		"strands-code-agent==0.5.0", "ipykernel==7.4.0", "jupyter-client==8.10.0", "pydantic-monty==1.4.0", "numpy", "pandas",
	}
	montyRuntime = "pydantic-monty-runtime==1.4.0" // the program that pydantic-monty starts
	pyodide      = "pyodide@314.0.7"
)

var peerNames = []string{
	"namespaces", "filtered", "pool", "exec", "strands-sandboxed", "strands-exec", "ipykernel", "pyodide", "monty",
}

//go:embed peers.py
var peersPy []byte

//go:embed pyodide.mjs
var pyodideJS []byte

// patience bounds one case of one peer.
const patience = 5 * time.Minute

// columns makes the peers that were chosen. One that cannot be installed stays
// in the table, with the reason.
func columns(ctx context.Context, chosen []string, note func(string, ...any)) (list []column, end func(), err error) {
	quiet := slog.New(slog.DiscardHandler)
	var backends []python.Interpreter
	dir, err := os.MkdirTemp("", "interpreters-")
	end = func() {
		for _, b := range backends {
			if err := b.Close(); err != nil {
				note("%v", err)
			}
		}
		os.RemoveAll(dir)
	}
	if err != nil {
		return nil, end, err
	}
	mine := map[string]python.Interpreter{
		"namespaces": &python.Sandboxed{Level: python.LevelNamespaces, Logger: quiet},
		"filtered":   &python.Sandboxed{Level: python.LevelFiltered, Logger: quiet},
		"pool":       &python.Sandboxed{Pool: 4, Logger: quiet},
		"exec":       &python.Exec{Logger: quiet},
	}
	others := &others{dir: dir, note: note}
	for _, name := range chosen {
		if b, ok := mine[name]; ok {
			backends = append(backends, b)
			list = append(list, column{name, ours{backend: b, pooled: name == "pool"}})
			continue
		}
		list = append(list, column{name, &program{name: name, from: others}})
	}
	for name, data := range map[string][]byte{"peers.py": peersPy, "pyodide.mjs": pyodideJS, "cases.json": casesJSON} {
		err = errors.Join(err, os.WriteFile(filepath.Join(dir, name), data, 0o644))
	}
	return list, end, err
}

// others installs what is not ours, once.
type others struct {
	dir  string
	note func(string, ...any)

	python  []string // the interpreter's environment; PYTHONPATH among it
	exe     string
	whyNot  string
	node    string // folder with node_modules
	whyNode string
}

// program is a peer that is a process of its own for each case.
type program struct {
	name string
	from *others
}

func (p *program) measure(ctx context.Context, c aCase, count int) ([]float64, string, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	cases := filepath.Join(p.from.dir, "cases.json")
	var cmd *osexec.Cmd
	if p.name == "pyodide" {
		if why := p.from.installNode(ctx); why != "" {
			return nil, why, nil
		}
		script := filepath.Join(p.from.node, "pyodide.mjs")
		if err := os.WriteFile(script, pyodideJS, 0o644); err != nil {
			return nil, "", err
		}
		count = min(count, 200)
		if strings.HasPrefix(c.name, "ready") {
			count = min(count, 8) // seconds each
		}
		cmd = osexec.CommandContext(ctx, "node", "--expose-gc", script, c.name, strconv.Itoa(count), cases)
	} else {
		if why := p.from.installPython(ctx); why != "" {
			return nil, why, nil
		}
		if c.name == "cpu" && p.name == "strands-sandboxed" || p.name == "ipykernel" {
			count = min(count, 8) // seconds each
		}
		cmd = osexec.CommandContext(ctx, p.from.exe, filepath.Join(p.from.dir, "peers.py"), p.name, c.name, strconv.Itoa(count), cases)
		cmd.Env = p.from.python
	}
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	cmd.Dir = p.from.dir
	err := cmd.Run()
	var answer struct {
		Samples []float64 `json:"samples"`
		Skip    string    `json:"skip"`
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if jsonErr := json.Unmarshal([]byte(lines[len(lines)-1]), &answer); jsonErr != nil {
		if ctx.Err() != nil {
			return nil, fmt.Sprintf("no end within %v", patience), nil
		}
		return nil, fmt.Sprintf("it fails: %v: %s", err, lastLine(errOut.String())), nil
	}
	return answer.Samples, answer.Skip, nil
}

func lastLine(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return lines[len(lines)-1]
}

// installPython makes one environment for all peers in Python, on the same
// interpreter as ours. It returns why that cannot be done.
func (o *others) installPython(ctx context.Context) string {
	if o.exe != "" || o.whyNot != "" {
		return o.whyNot
	}
	o.note("installing %s", strings.Join(peerPackages, ", "))
	e := &python.Exec{Logger: slog.New(slog.DiscardHandler)}
	defer e.Close()
	s, err := e.Open(ctx, python.Options{Requirements: peerPackages, Progress: func(text string) { o.note("%s", text) }})
	if err != nil {
		o.whyNot = "it cannot be installed: " + err.Error()
		return o.whyNot
	}
	var found []string
	for out, err := range s.Exec(ctx, "import sys\nprint(sys.executable, sys.prefix, *sys.path, sep='\\n')") {
		if err != nil {
			o.whyNot = err.Error()
			return o.whyNot
		}
		if out.Result != nil {
			found = strings.Split(strings.TrimSpace(out.Result.Stdout), "\n")
		}
	}
	o.exe = found[0]
	o.python = slices.Concat(os.Environ(), []string{
		"PYTHONPATH=" + strings.Join(found[2:], ":"), "OMP_NUM_THREADS=1", "OPENBLAS_NUM_THREADS=1", "PYTHONWARNINGS=ignore",
	})
	// An environment of ours has libraries only, no programs.
	dir, err := folder()
	if err != nil {
		o.whyNot = err.Error()
		return o.whyNot
	}
	monty := filepath.Join(dir, "monty")
	o.python = append(o.python, "MONTY_BIN="+filepath.Join(monty, "bin", "monty"))
	if err := o.installMonty(ctx, monty); err != nil {
		o.note("%s cannot be installed: %v", montyRuntime, err)
	}
	return ""
}

func (o *others) installMonty(ctx context.Context, dir string) error {
	d := embedded.Distribution()
	if d == nil {
		return errors.New("no embedded Python for this system")
	}
	pip, err := d.Pip(o.dir)
	if err != nil {
		return err
	}
	cmd := osexec.CommandContext(ctx, o.exe, "-m", "pip", "install", "--quiet", "--upgrade", "--target", dir, montyRuntime)
	cmd.Env = append(os.Environ(), "PYTHONPATH="+pip)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, lastLine(string(out)))
	}
	return nil
}

// folder is where what is not Python's is installed.
func folder() (string, error) {
	cache := os.Getenv("STRANDS_CACHE")
	if cache == "" {
		base, err := os.UserCacheDir()
		if err != nil {
			return "", err
		}
		cache = filepath.Join(base, "strands")
	}
	dir := filepath.Join(cache, "bench-interpreters")
	return dir, os.MkdirAll(dir, 0o755)
}

// installNode installs Pyodide. It returns why that cannot be done.
func (o *others) installNode(ctx context.Context) string {
	if o.node != "" || o.whyNode != "" {
		return o.whyNode
	}
	if _, err := osexec.LookPath("npm"); err != nil {
		o.whyNode = "there is no Node and npm on this machine"
		return o.whyNode
	}
	dir, err := folder()
	if err != nil {
		o.whyNode = err.Error()
		return o.whyNode
	}
	o.note("installing %s", pyodide)
	cmd := osexec.CommandContext(ctx, "npm", "install", "--prefix", dir, "--no-audit", "--no-fund", "--silent", pyodide)
	if out, err := cmd.CombinedOutput(); err != nil {
		o.whyNode = fmt.Sprintf("it cannot be installed: %v: %s", err, lastLine(string(out)))
		return o.whyNode
	}
	o.node = dir
	return ""
}
