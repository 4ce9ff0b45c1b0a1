package artifact_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/strandsgo/strands"
	"github.com/strandsgo/strands/artifact"
	"github.com/strandsgo/strands/strandstest"
)

var png = []byte("\x89PNG\r\n\x1a\nnot really")

// draw is a tool that leaves a picture and a file, as often as it is called.
func draw(k *artifact.Keeper, more ...func(context.Context, *strands.Session) error) strands.Tool {
	return strands.NewTool("draw", "Draws.", func(ctx context.Context, _ struct{}) (string, error) {
		s := strands.SessionFrom(ctx)
		err := errors.Join(
			k.Keep(ctx, s, strands.Artifact{MIME: "image/png"}, bytes.NewReader(png)),
			k.Keep(ctx, s, strands.Artifact{Name: "out/report.csv", MIME: "text/csv"}, strings.NewReader("a,b\n")))
		for _, f := range more {
			err = errors.Join(err, f(ctx, s))
		}
		return "drawn", err
	})
}

func newAgent(t *testing.T, k *artifact.Keeper, tool strands.Tool) (*strands.Agent, *strandstest.Script) {
	t.Helper()
	call := strandstest.Turn{Calls: []strandstest.Call{{Name: "draw", Input: json.RawMessage(`{}`)}}}
	script := &strandstest.Script{Turns: []strandstest.Turn{call, call, {Text: "See Figure 1."}, call, {Text: "Again."}}}
	a, err := strands.New(strands.Config{Model: script, Tools: []strands.Tool{tool}, Hooks: []strands.Hooks{k.Hooks()}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close() })
	return a, script
}

func TestKeeper(t *testing.T) {
	dir := t.TempDir()
	k := &artifact.Keeper{Store: &artifact.Directory{Dir: dir}}
	a, script := newAgent(t, k, draw(k))
	s := a.NewSession()
	defer s.Close()

	var streamed strings.Builder
	var res *strands.Result
	for e, err := range s.Run(t.Context(), strands.Prompt("draw")) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Delta != nil {
			streamed.WriteString(e.Delta.Text)
		}
		if e.Result != nil {
			res = e.Result
		}
	}
	// Two pictures, and the file once: its second version replaced the first.
	var names []string
	for _, f := range res.Artifacts {
		names = append(names, f.Name)
		data, err := os.ReadFile(f.Path)
		if err != nil || int64(len(data)) != f.Size {
			t.Errorf("%s: %d bytes of %d, %v", f.Name, len(data), f.Size, err)
		}
		if f.Figure > 0 && !bytes.Equal(data, png) {
			t.Errorf("%s came changed", f.Name)
		}
	}
	if got := strings.Join(names, " "); got != "figure-1.png out/report.csv figure-2.png" {
		t.Errorf("kept %s", got)
	}
	if n := strings.Count(res.Text(), "**Pictures and files**"); n != 1 {
		t.Errorf("%d sections in %q", n, res.Text())
	}
	if got := streamed.String(); !strings.HasSuffix(got, res.Text()[len("See Figure 1."):]) {
		t.Errorf("who reads the stream gets no links: %q", got)
	}
	for _, want := range []string{"Figure 1: figure-1.png in " + dir, "Figure 2: ", "- out/report.csv in "} {
		if !strings.Contains(res.Text(), want) {
			t.Errorf("the section lacks %q:\n%s", want, res.Text())
		}
	}

	// Another run has other keys, figures from 1 again, and the model has seen
	// no link to repeat.
	again, err := s.Ask(t.Context(), "once more")
	if err != nil {
		t.Fatal(err)
	}
	if len(again.Artifacts) != 2 || again.Artifacts[0].Figure != 1 || again.Artifacts[0].Path == res.Artifacts[0].Path {
		t.Errorf("the second run: %+v", again.Artifacts)
	}
	for _, r := range script.Requests() {
		if b, _ := json.Marshal(r.Messages); bytes.Contains(b, []byte("Pictures and files")) || bytes.Contains(b, []byte(dir)) {
			t.Errorf("the model reads the section: %s", b)
		}
	}
}

type broken struct{ err error }

func (b broken) Put(context.Context, string, strands.Artifact, io.ReadSeeker) (strands.Artifact, error) {
	return strands.Artifact{}, b.err
}

func TestKeeperFallsBack(t *testing.T) {
	dir, log := t.TempDir(), new(bytes.Buffer)
	k := &artifact.Keeper{
		Store: half{}, Local: &artifact.Directory{Dir: dir}, Logger: slog.New(slog.NewTextHandler(log, nil)),
	}
	a, _ := newAgent(t, k, draw(k))
	res, err := a.Ask(t.Context(), "draw")
	if err != nil {
		t.Fatal(err)
	}
	if len(res.Artifacts) != 3 {
		t.Fatalf("%+v", res.Artifacts)
	}
	for _, f := range res.Artifacts {
		switch data, _ := os.ReadFile(f.Path); {
		case f.Figure > 0 && !bytes.Equal(data, png):
			t.Errorf("%s was lost", f.Name)
		case f.Figure == 0 && (f.URL == "" || f.Path != ""):
			t.Errorf("%s could be stored and was not: %+v", f.Name, f)
		}
	}
	if n := strings.Count(log.String(), "level=WARN"); n != 2 || !strings.Contains(log.String(), "the bucket is gone") {
		t.Errorf("%d warnings:\n%s", n, log)
	}
}

// half reads what it is given and takes files only.
type half struct{}

func (half) Put(_ context.Context, _ string, a strands.Artifact, data io.ReadSeeker) (strands.Artifact, error) {
	if _, err := io.Copy(io.Discard, data); err != nil {
		return a, err
	}
	if a.Figure > 0 {
		return a, errors.New("the bucket is gone")
	}
	a.URL = "https://example.com/" + a.Name
	return a, nil
}

func TestKeeperErrors(t *testing.T) {
	gone := errors.New("gone")
	k := &artifact.Keeper{Store: broken{gone}, Local: broken{io.ErrShortWrite}}
	var got []error
	tool := strands.NewTool("draw", "Draws.", func(ctx context.Context, _ struct{}) (string, error) {
		s := strands.SessionFrom(ctx)
		got = append(got,
			k.Keep(ctx, s, strands.Artifact{Name: "x"}, strings.NewReader("x")),
			k.Keep(ctx, s, strands.Artifact{Name: "y"}, iotest.ErrReader(io.ErrClosedPipe)))
		return "", nil
	})
	a, _ := newAgent(t, k, tool)
	res, err := a.Ask(t.Context(), "draw")
	if err != nil || len(res.Artifacts) != 0 || strings.Contains(res.Text(), "Pictures") {
		t.Fatalf("%+v %v", res, err)
	}
	if !errors.Is(got[0], gone) || !errors.Is(got[0], io.ErrShortWrite) || !errors.Is(got[1], io.ErrClosedPipe) {
		t.Errorf("%v", got)
	}
}

// A picture is not stored over a file that code called like one, and a long
// file does not stay in memory.
func TestKeeperNamesAndSizes(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", t.TempDir()) // in the common one others leave things, too
	k := &artifact.Keeper{Store: &artifact.Directory{Dir: dir}}
	long := bytes.Repeat([]byte("0123456789abcdef"), 1<<20)
	a, _ := newAgent(t, k, draw(k, func(ctx context.Context, s *strands.Session) error {
		return errors.Join(
			k.Keep(ctx, s, strands.Artifact{Name: "figure-2.png", MIME: "image/png"}, strings.NewReader("mine")),
			k.Keep(ctx, s, strands.Artifact{MIME: "image/svg+xml"}, strings.NewReader("<svg/>")),
			k.Keep(ctx, s, strands.Artifact{Name: "long.bin"}, bytes.NewReader(long)))
	}))
	res, err := a.Ask(t.Context(), "draw")
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, f := range res.Artifacts {
		data, err := os.ReadFile(f.Path)
		if err != nil {
			t.Fatal(err)
		}
		got[f.Name] = string(data[:min(len(data), 10)])
		if f.Name == "long.bin" && !bytes.Equal(data, long) {
			t.Error("the long file came changed")
		}
	}
	if got["figure-2.png"] != "mine" || got["figure-2.svg"] != "<svg/>" || got["figure-4.svg"] != "<svg/>" {
		t.Errorf("%v", got)
	}
	if left, _ := filepath.Glob(filepath.Join(os.TempDir(), "strands-artifact-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// TestDirectoryTakesAnyName: no file is in the way of another, and a name may be
// as long as the file system allows.
func TestDirectoryTakesAnyName(t *testing.T) {
	d := &artifact.Directory{Dir: t.TempDir()}
	long := strings.Repeat("x", 255)
	for _, name := range []string{"data.csv.part", "data.csv", long, "in/" + long, "data.csv"} {
		if _, err := d.Put(t.Context(), "run", strands.Artifact{Name: name}, strings.NewReader(name)); err != nil {
			t.Error(err)
		}
	}
	var files []string
	err := filepath.WalkDir(filepath.Join(d.Dir, "run"), func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		files = append(files, string(text))
		return err
	})
	if got := strings.Join(files, " "); err != nil || got != "data.csv data.csv.part in/"+long+" "+long {
		t.Errorf("%q, %v", got, err)
	}
}

func TestDirectoryStaysInside(t *testing.T) {
	dir := t.TempDir()
	d := &artifact.Directory{Dir: filepath.Join(dir, "in")}
	if err := os.MkdirAll(filepath.Join(dir, "in", "run"), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(dir, filepath.Join(dir, "in", "run", "link")); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"../x", "/etc/x", "a/../../x", "link/x", ""} {
		if _, err := d.Put(t.Context(), "run", strands.Artifact{Name: name}, strings.NewReader("x")); err == nil {
			t.Errorf("%q was written", name)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "x")); err == nil {
		t.Error("a file outside was made")
	}
}

func TestSection(t *testing.T) {
	got := artifact.Section([]strands.Artifact{
		{Name: "data [1].csv", URL: "https://x/a?b=(1)"},
		{Name: "figure-1.png", Figure: 1, URL: "https://x/f?sig=a%2Fb", Expires: time.Date(2026, 11, 21, 13, 0, 0, 0, time.UTC)},
	})
	want := "**Pictures and files**\n" +
		"- Figure 1: [figure-1.png](<https://x/f?sig=a%2Fb>), valid until 2026-11-21 13:00:00 UTC\n" +
		"- [data (1).csv](<https://x/a?b=(1)>)\n"
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
