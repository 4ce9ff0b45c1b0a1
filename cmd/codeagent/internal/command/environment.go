package command

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"

	"github.com/strandsgo/strands/cmd/codeagent/internal/show"
	"github.com/strandsgo/strands/codeagent"
	"github.com/strandsgo/strands/python"
)

// toolkits are those that have a name on the command line.
var toolkits = map[string]codeagent.Toolkit{
	"data": codeagent.DataAnalysis,
	"viz":  codeagent.Visualization,
}

func toolkitNames() []string { return []string{"data", "viz"} }

func toolkitsOf(names []string) ([]codeagent.Toolkit, error) {
	var kits []codeagent.Toolkit
	for i, name := range names {
		kit, ok := toolkits[name]
		if !ok {
			return nil, usagef("unknown toolkit %q: choose %s", name, orList(toolkitNames()))
		}
		if !slices.Contains(names[:i], name) {
			kits = append(kits, kit)
		}
	}
	return kits, nil
}

// environment is where code runs, and with what.
type environment struct {
	data        *given
	interpreter python.Interpreter
	options     python.Options
}

// environment makes what exec runs code in. Nothing is started.
func (f *pythonFlags) environment(errOut io.Writer) (*environment, error) {
	kits, err := toolkitsOf(f.toolkits)
	if err != nil {
		return nil, err
	}
	o := python.Options{
		Libraries:    slices.Clone(f.allow),
		Requirements: slices.Clone(f.require),
		Timeout:      f.timeout,
		Limits:       python.Limits{Memory: int64(f.memory), Disk: int64(f.disk), CPU: f.cpu},
		Progress:     func(s string) { fmt.Fprintln(errOut, "codeagent:", show.Clean(s)) },
	}
	for _, r := range f.require {
		name := requirementName.FindString(strings.TrimSpace(r))
		if name == "" {
			return nil, usagef("--require %q names no package: give one as for pip, like \"pandas>=2\"", r)
		}
		o.Libraries = append(o.Libraries, strings.ReplaceAll(name, "-", "_")+".*")
	}
	for _, kit := range kits {
		o.Libraries = append(o.Libraries, kit.Libraries...)
		o.Requirements = append(o.Requirements, kit.Requirements...)
		o.Preload = append(o.Preload, kit.Preload...)
		if kit.InitializationCode != "" {
			o.InitializationCode = append(o.InitializationCode, kit.InitializationCode)
		}
	}
	return &environment{interpreter: f.backend(errOut), options: o}, nil
}

// warnings is a log of warnings and errors as lines for a person.
type warnings struct{ w io.Writer }

func (l warnings) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelWarn }
func (l warnings) WithAttrs([]slog.Attr) slog.Handler               { return l }
func (l warnings) WithGroup(string) slog.Handler                    { return l }
func (l warnings) Handle(_ context.Context, r slog.Record) error {
	var b strings.Builder
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == "error" || a.Key == "err" {
			fmt.Fprintf(&b, ": %v", a.Value)
		}
		return true
	})
	level := "warning"
	if r.Level >= slog.LevelError {
		level = "error"
	}
	_, err := fmt.Fprintf(l.w, "codeagent: %s: %s\n", level,
		show.Clean(strings.ReplaceAll(r.Message+b.String(), "\n", " ")))
	return err
}
