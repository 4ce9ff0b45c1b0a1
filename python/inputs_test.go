package python_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/strandsgo/strands"
	"github.com/strandsgo/strands/python"
)

// Inputs are there before any code runs, in each fresh state.
func TestInputs(t *testing.T) {
	opened := 0
	input := python.Input{Name: "in/sales.csv", Open: func(context.Context) (io.ReadCloser, error) {
		opened++
		return io.NopCloser(strings.NewReader("a,b\n")), nil
	}}
	i := &python.Exec{Logger: quiet()}
	defer i.Close()
	s, err := i.Open(t.Context(), python.Options{Inputs: []python.Input{input}, InitializationCode: []string{"text = open('in/sales.csv').read()"}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for state := 1; state <= 2; state++ {
		for o, err := range s.Exec(t.Context(), "import os\nt = text\nos.remove('in/sales.csv')\nt") {
			switch {
			case err != nil:
				t.Fatal(err)
			case o.Result != nil && (o.Result.Value != `'a,b\n'` || len(o.Result.Files) > 0):
				t.Errorf("state %d: %+v", state, o.Result)
			}
		}
		if opened != state {
			t.Errorf("opened %d times for %d states", opened, state)
		}
		if err := s.Reset(t.Context()); err != nil {
			t.Fatal(err)
		}
	}

	gone := errors.New("the object is gone")
	bad := python.Input{Name: "x", Open: func(context.Context) (io.ReadCloser, error) { return nil, gone }}
	if _, err := i.Open(t.Context(), python.Options{Inputs: []python.Input{bad}}); !errors.Is(err, gone) {
		t.Errorf("err = %v", err)
	}
	for _, name := range []string{"../x", "/x", ""} {
		_, err := i.Open(t.Context(), python.Options{Inputs: []python.Input{{Name: name, Open: input.Open}}})
		if _, ok := errors.AsType[*strands.InputError](err); !ok {
			t.Errorf("%q: %v", name, err)
		}
	}
}
