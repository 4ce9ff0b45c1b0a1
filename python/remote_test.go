package python_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/strandsgo/strands/python"
	"github.com/strandsgo/strands/python/pythontest"
)

// kernel is a Carrier to a Python that is not on another machine but might as
// well be: code goes in, what it printed comes out.
type kernel struct {
	python.Session
	backend *python.Exec
	gone    bool
	expires time.Time
	runs    int
}

func dial(ctx context.Context) (*kernel, error) {
	i := &python.Exec{Logger: quiet()}
	s, err := i.Open(ctx, python.Options{})
	if err != nil {
		return nil, err
	}
	return &kernel{Session: s, backend: i}, nil
}

func (k *kernel) Run(ctx context.Context, code string) (string, error) {
	k.runs++
	if k.gone {
		return "", errors.Join(python.ErrSessionGone, errors.New("session 7 was not found"))
	}
	for o, err := range k.Exec(ctx, code) {
		if err != nil {
			return "", err
		}
		if o.Result != nil {
			if o.Result.Err != nil {
				return "", o.Result.Err
			}
			return o.Result.Stdout, nil
		}
	}
	return "", errors.New("no result")
}

func (k *kernel) Put(ctx context.Context, name, text string) error {
	return k.Session.(python.Filer).WriteFile(ctx, name, strings.NewReader(text))
}

func (k *kernel) Get(ctx context.Context, name string) (string, error) {
	r, err := k.Session.(python.Filer).ReadFile(ctx, name)
	if err != nil {
		return "", err
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	return string(b), err
}

func (k *kernel) Expires() (time.Time, string) {
	return k.expires, "the session has reached its time to live"
}

func (k *kernel) Close() error { return errors.Join(k.Session.Close(), k.backend.Close()) }

func remote(*testing.T) python.Interpreter {
	return &python.Remote{Logger: quiet(), Dial: func(ctx context.Context, _ func(string)) (python.Carrier, error) {
		return dial(ctx)
	}}
}

func TestRemote(t *testing.T) {
	pythontest.Test(t, remote, pythontest.Config{Processes: true})
}
