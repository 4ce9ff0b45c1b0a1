package pyenv

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"time"
)

// InstallError says why packages could not be installed. The environment was
// not made; the next Make tries again.
type InstallError struct {
	Packages    string // the one that failed when the installer named it, else all that were asked for
	Detail      string // the installer's last meaningful line, without credentials
	Unreachable bool   // no package index could be reached
	Missing     bool   // the index was asked and has no wheel that fits
	uv          bool
	python      string
}

func (e *InstallError) Error() string {
	tool, index, links := "pip", "PIP_INDEX_URL", "PIP_FIND_LINKS"
	if e.uv {
		tool, index, links = "uv", "UV_DEFAULT_INDEX", "UV_FIND_LINKS"
	}
	what := tool + " failed"
	switch {
	case e.Unreachable:
		what = "the package index cannot be reached"
	case e.Missing:
		what = fmt.Sprintf("no wheel for Python %s on %s/%s was found", e.python, runtime.GOOS, runtime.GOARCH)
	}
	return fmt.Sprintf("installing %s: %s (%s): set %s to an index that has it, %s to a folder with wheels, or %s to a Python in which it is installed",
		e.Packages, what, e.Detail, index, links, PythonVariable)
}

// installer is a program that installs wheels into an environment.
type installer struct {
	uv     string // the uv binary; "" = pip
	pip    string // the folder of the pip package
	python string // version of the interpreter, for messages
}

// installer prefers uv, which is faster, then the pip that the program
// carries, then that of the interpreter.
func (m *Manager) installer(ctx context.Context, dir string, base *found, tell func(string)) (*installer, error) {
	inst := &installer{python: base.Interpreter.Version}
	if uv, err := exec.LookPath("uv"); err == nil {
		inst.uv = uv
		return inst, nil
	}
	if m.Embedded != nil && m.Embedded.Pip != nil {
		lib, err := m.embeddedPip(ctx, dir, tell)
		if err != nil {
			return nil, err
		}
		inst.pip = filepath.Join(lib, "pip")
		return inst, nil
	}
	if inst.pip = base.Pip; inst.pip == "" {
		return nil, fmt.Errorf("%s has no pip and there is no uv on PATH: install one of them, or set %s to a Python that has the packages",
			base.Interpreter.Exe, PythonVariable)
	}
	return inst, nil
}

// embeddedPip returns the folder with the pip package, unpacking it the first
// time.
func (m *Manager) embeddedPip(ctx context.Context, dir string, tell func(string)) (string, error) {
	it := item{cache: dir, kind: "pip", name: m.Embedded.Name}
	var inside string
	marker := filepath.Join(it.dir(), "path")
	done := func() bool {
		data, err := os.ReadFile(marker)
		inside = string(data)
		return err == nil
	}
	build := func(tmp string) error {
		path, err := m.Embedded.Pip(tmp)
		if err != nil {
			return fmt.Errorf("unpacking pip into %s: %w", dir, err)
		}
		if inside, err = filepath.Rel(tmp, path); err != nil {
			return fmt.Errorf("unpacking pip into %s: %w", dir, err)
		}
		return os.WriteFile(filepath.Join(tmp, "path"), []byte(inside), 0o644)
	}
	if err := it.make(ctx, tell, done, build, func() error { return nil }); err != nil {
		return "", err
	}
	return filepath.Join(it.dir(), inside), nil
}

// install puts reqs into the environment env. Wheels only: nothing of a
// package is run.
func (i *installer) install(ctx context.Context, env string, reqs []requirement, tell func(string)) error {
	cmd := i.command(ctx, env, reqs)
	start := time.Now()
	var output []string
	err := runLines(ctx, cmd, func(line string) {
		line = redact(line)
		if output = append(output, line); len(output) > 400 {
			output = slices.Delete(output, 0, 200)
		}
		if news := headline(line); news != "" {
			tell(fmt.Sprintf("%s (%s)", news, time.Since(start).Round(time.Second)))
		}
	})
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return i.failure(reqs, output, err)
}

func (i *installer) command(ctx context.Context, env string, reqs []requirement) *exec.Cmd {
	python := venvPython(env)
	var cmd *exec.Cmd
	if i.uv != "" {
		// Copies, not links: the environment must not share files with a cache that others write.
		cmd = exec.CommandContext(ctx, i.uv, "pip", "install", "--python", python, "--only-binary", ":all:",
			"--link-mode", "copy", "--no-progress", "--color", "never")
	} else {
		cmd = exec.CommandContext(ctx, python, "-I", runnable(i.pip), "install", "--only-binary=:all:", "--no-compile", "--no-input",
			"--no-warn-script-location", "--disable-pip-version-check", "--no-color", "--progress-bar", "off")
	}
	cmd.Args = append(cmd.Args, texts(reqs)...)
	cmd.Env = installEnv()
	return cmd
}

// runnable is what runs the pip of a folder. The folder itself would put what
// lies beside it on the path, where pip finds the base interpreter's packages
// and leaves them out of the environment, which does not see them.
func runnable(pip string) string {
	runner := filepath.Join(pip, "__pip-runner__.py") // pip 22.2 and later
	if _, err := os.Stat(runner); err != nil {
		return pip
	}
	return runner
}

// elsewhere are settings that would send the installation to another place
// than the environment, or make it none.
var elsewhere = []string{
	"PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_USER", "PIP_PYTHON", "PIP_DRY_RUN", "PIP_REQUIREMENT", "PIP_EDITABLE",
	"UV_PYTHON", "UV_SYSTEM_PYTHON", "UV_TARGET", "UV_PREFIX", "UV_COMPILE_BYTECODE", "CONDA_PREFIX",
}

// installEnv is the program's environment, with its proxies, certificates and
// index settings, but for what leads elsewhere.
func installEnv() []string {
	env := slices.DeleteFunc(pythonEnv(), func(entry string) bool {
		name, _, _ := strings.Cut(entry, "=")
		return slices.Contains(elsewhere, strings.ToUpper(name))
	})
	env = append(env, "PIP_USER=0", "PIP_REQUIRE_VIRTUALENV=0")
	// Without a network, say so in seconds.
	for _, retries := range []string{"PIP_RETRIES", "UV_HTTP_RETRIES"} {
		if os.Getenv(retries) == "" {
			env = append(env, retries+"=1")
		}
	}
	return env
}

// headline makes a line of progress of what the installer prints; "" = the
// line says nothing to a person.
func headline(line string) string {
	line = strings.TrimSpace(line)
	word, rest, _ := strings.Cut(line, " ")
	switch word {
	case "Collecting":
		name, _, _ := strings.Cut(rest, " (from ")
		return "collecting " + name
	case "Processing":
		return "reading " + filepath.Base(rest)
	case "Downloading", "Resolved", "Prepared":
		return strings.ToLower(word) + " " + rest
	case "Using":
		if strings.HasPrefix(rest, "cached ") {
			return "using " + rest
		}
	case "Installing":
		return "installing " + strings.TrimPrefix(rest, "collected packages: ")
	}
	return ""
}

var (
	unreachable = regexp.MustCompile(`(?i)NewConnectionError|NameResolutionError|ConnectTimeout|ReadTimeout|Max retries exceeded|connection broken|` +
		`ProxyError|SSLError|CERTIFICATE_VERIFY_FAILED|name resolution|dns error|connection refused|network is unreachable|error sending request|tcp connect error`)
	reason   = regexp.MustCompile(`\[Errno -?\d+\] [^)'"]+|[Tt]emporary failure in name resolution|[Cc]onnection refused|[Nn]ame or service not known|certificate verify failed[^)'"]*|timed out`)
	missing  = regexp.MustCompile(`No matching distribution found|satisfies the requirement|No solution found|ResolutionImpossible|no usable wheels`)
	conflict = regexp.MustCompile(`Cannot install (.+) because these package versions have conflicting dependencies`)
	culprit  = regexp.MustCompile(`(?:matching distribution found for|satisfies the requirement|Because(?: only)?|Failed to fetch) ([A-Za-z0-9][A-Za-z0-9._-]*)`)
)

// failure reads what the installer printed.
func (i *installer) failure(reqs []requirement, output []string, err error) error {
	all := strings.Join(output, "\n")
	e := &InstallError{Packages: names(reqs), Detail: err.Error(), uv: i.uv != "", python: i.python}
	if m := culprit.FindStringSubmatch(all); m != nil {
		e.Packages = strings.ToLower(separators.ReplaceAllString(m[1], "-"))
	}
	if e.Unreachable = unreachable.MatchString(all); e.Unreachable {
		if why := reason.FindString(all); why != "" {
			e.Detail = strings.TrimSpace(why)
			return e
		}
	}
	e.Missing = !e.Unreachable && missing.MatchString(all)
	if line := meaning(output); line != "" {
		e.Detail = line
	}
	if m := conflict.FindStringSubmatch(all); m != nil && e.Missing { // pip's last line is an address
		e.Detail = clip(m[1]) + " cannot be installed together"
	}
	return e
}

// meaning returns the last error of the output in one line: pip's last
// "ERROR:", or all that follows the mark with which uv begins.
func meaning(output []string) string {
	var line string
	for n := len(output) - 1; n >= 0 && line == ""; n-- {
		text := strings.TrimSpace(output[n])
		if rest, ok := strings.CutPrefix(text, "ERROR: "); ok {
			line = rest
		} else if strings.HasPrefix(text, "error: ") || strings.HasPrefix(text, "× ") {
			line = strings.Join(output[n:], " ")
		}
	}
	if line == "" && len(output) > 0 {
		line = output[len(output)-1]
	}
	line = strings.NewReplacer("×", "", "╰─▶", "", "error: ", "").Replace(line)
	line = strings.ReplaceAll(strings.Join(strings.Fields(line), " "), " cause: ", ": ")
	line = strings.TrimRight(line, ".")
	return clip(line)
}
