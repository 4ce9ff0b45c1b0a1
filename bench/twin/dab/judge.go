package dab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/strandsgo/strands/python"
)

// judge runs validate.py of a question, in the sandbox: it comes with the
// folder, and reads text that a model wrote.
type judge struct {
	interpreter python.Interpreter
	dir         string
}

// verdict calls validate and prints what it says as the last line. It returns
// a truth value, or that and a reason.
const verdict = `import importlib.util, json
spec = importlib.util.spec_from_file_location("validate", "validate.py")
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
with open("answer.txt", encoding="utf-8") as f:
    said = module.validate(f.read())
ok, why = said if isinstance(said, tuple) else (said, "")
print("\n" + json.dumps([bool(ok), str(why)]))`

func (j judge) check(ctx context.Context, answer string) (ok bool, why string, err error) {
	of := func(name string) python.Input {
		return python.Input{Name: name, Open: func(context.Context) (io.ReadCloser, error) { return os.Open(filepath.Join(j.dir, name)) }}
	}
	s, err := j.interpreter.Open(ctx, python.Options{Libraries: []string{"*"}, Timeout: time.Minute, Inputs: []python.Input{of("validate.py"), of("ground_truth.csv"), {
		Name: "answer.txt", Open: func(context.Context) (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(answer)), nil },
	}}})
	if err != nil {
		return false, "", err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	for out, err := range s.Exec(ctx, verdict) {
		if err != nil {
			return false, "", err
		}
		if out.Result != nil {
			return read(*out.Result, filepath.Join(j.dir, "validate.py"))
		}
	}
	return false, "", errors.New("validate.py had no result")
}

// read takes the verdict out of what was printed.
func read(r python.Result, path string) (bool, string, error) {
	if r.Err != nil {
		return false, "", fmt.Errorf("%s: %s: %s", short(path), r.Err.Type, r.Err.Message)
	}
	lines := strings.Split(strings.TrimSpace(r.Stdout), "\n")
	var said [2]json.RawMessage
	var ok bool
	var why string
	if err := errors.Join(json.Unmarshal([]byte(lines[len(lines)-1]), &said), json.Unmarshal(said[0], &ok), json.Unmarshal(said[1], &why)); err != nil {
		return false, "", fmt.Errorf("%s: its verdict cannot be read", short(path))
	}
	return ok, why, nil
}
