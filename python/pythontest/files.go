package pythontest

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/strandsgo/strands"
	"github.com/strandsgo/strands/python"
)

func (s *suite) fileTests() map[string]func(*testing.T) {
	return map[string]func(*testing.T){
		"written, listed, read": s.fileWrittenListedRead,
		"handed in":             s.fileHandedIn,
		"names that lead out":   s.fileNamesThatLeadOut,
		"reading that fails":    s.fileReadingThatFails,
	}
}

func (s *suite) fileWrittenListedRead(t *testing.T) {
	r := s.session(t, python.Options{})
	res := r.ok("import io\nio.open('a.csv', 'w').write('x,y\\n1,2\\n')\nNone")
	want := strands.File{Name: "a.csv", MIME: "text/csv", Size: 8}
	if len(res.Files) != 1 || res.Files[0] != want {
		t.Fatalf("%+v, want %+v", res.Files, want)
	}
	if res := r.ok("1"); len(res.Files) != 0 {
		t.Errorf("told again: %+v", res.Files)
	}
	f := r.filer()
	list, err := f.Files(t.Context())
	if err != nil || len(list) != 1 || list[0] != want {
		t.Errorf("Files: %+v %v", list, err)
	}
	if got := r.read("a.csv"); got != "x,y\n1,2\n" {
		t.Errorf("read %q", got)
	}
}

func (s *suite) fileHandedIn(t *testing.T) {
	r := s.session(t, python.Options{})
	big := strings.Repeat("0123456789", 300_000)
	if err := r.filer().WriteFile(t.Context(), "in/big.txt", strings.NewReader(big)); err != nil {
		t.Fatal(err)
	}
	if err := r.filer().WriteFile(t.Context(), "empty", strings.NewReader("")); err != nil {
		t.Fatal(err)
	}
	r.value("import io\nlen(io.open('in/big.txt').read()), len(io.open('empty').read())", "(3000000, 0)")
	if got := r.read("in/big.txt"); got != big {
		t.Errorf("%d bytes came back", len(got))
	}
}

func (s *suite) fileNamesThatLeadOut(t *testing.T) {
	r := s.session(t, python.Options{})
	r.ok("1")
	for _, name := range []string{"../x", "/etc/passwd", "a/../../x", "", ".", "a//b", "a\x00b"} {
		if _, err := r.filer().ReadFile(t.Context(), name); err == nil {
			t.Errorf("%q was read", name)
		}
		if err := r.filer().WriteFile(t.Context(), name, strings.NewReader("x")); err == nil {
			t.Errorf("%q was written", name)
		}
	}
	if _, err := r.filer().ReadFile(t.Context(), "none"); err == nil {
		t.Error("a missing file was read")
	}
	r.value("1", "1")
}

func (s *suite) fileReadingThatFails(t *testing.T) {
	r := s.session(t, python.Options{})
	r.ok("x = 1")
	bad := errors.New("the source is broken")
	err := r.filer().WriteFile(t.Context(), "half", io.MultiReader(strings.NewReader("abc"), failingReader{bad}))
	if !errors.Is(err, bad) {
		t.Errorf("err = %v", err)
	}
	r.value("x", "1")
}

type failingReader struct{ err error }

func (f failingReader) Read([]byte) (int, error) { return 0, f.err }

func (r *repl) filer() python.Filer {
	r.t.Helper()
	f, ok := r.Session.(python.Filer)
	if !ok {
		r.t.Fatal("the session is no python.Filer")
	}
	return f
}

func (r *repl) read(name string) string {
	r.t.Helper()
	f, err := r.filer().ReadFile(r.t.Context(), name)
	if err != nil {
		r.t.Fatal(err)
	}
	defer f.Close()
	b, err := io.ReadAll(f)
	if err != nil {
		r.t.Fatal(err)
	}
	return string(b)
}
