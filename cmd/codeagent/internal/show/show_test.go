package show

import (
	"bytes"
	"encoding/json"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/strandsgo/strands"
)

func picture(t *testing.T) *strands.Media {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, image.NewGray(image.Rect(0, 0, 2, 2))); err != nil {
		t.Fatal(err)
	}
	return &strands.Media{MIME: "image/png", Data: b.Bytes()}
}

// events is a run with one of everything.
func events(t *testing.T) []strands.Event {
	t.Helper()
	repl := &strands.ToolCall{ID: "1", Name: PythonTool, Input: []byte(`{"code":"x = 1\n\nprint(roi(x))\n"}`)}
	host := &strands.ToolCall{ID: "2", ParentID: "1", Name: "roi", Input: []byte(`{"investment":1000,"label":"a \"b\""}`)}
	text := func(s string) strands.Event { return strands.Event{Delta: &strands.Delta{Text: s}} }
	return []strands.Event{
		{Delta: &strands.Delta{Reasoning: &strands.Reasoning{Text: "Hm, "}}},
		{Delta: &strands.Delta{Reasoning: &strands.Reasoning{Text: "a ROI."}}},
		text("I will **com"), text("pute** it.\n\nNow."),
		{Message: &strands.Message{Role: strands.Assistant}},
		{ToolStart: repl},
		{ToolStart: host},
		{ToolEnd: &strands.ToolEnd{Call: host, Result: &strands.ToolResult{}}},
		{Output: &strands.ToolOutput{CallID: "1", Stdout: "25"}},
		{Output: &strands.ToolOutput{CallID: "1", Stdout: ".0\nnext"}},
		{Output: &strands.ToolOutput{CallID: "1", Image: picture(t)}},
		{Output: &strands.ToolOutput{CallID: "1", Value: "'done'"}},
		{ToolEnd: &strands.ToolEnd{Call: repl, Result: &strands.ToolResult{IsError: true, Parts: []strands.Part{
			strands.Text("STDOUT:\n25.0\nnext\n\nERROR:\nValueError: bad")}}}},
		{Retry: &strands.Retry{Attempt: 1, Delay: strands.Duration(4 * time.Second), Reason: "throttled"}},
		text("The ROI is 25 %.\x1b]52;c;evil\a"),
		{Result: &strands.Result{}},
	}
}

func printAll(t *testing.T, p Printer, list []strands.Event) {
	t.Helper()
	for _, e := range list {
		if err := p.Event(e); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.End(); err != nil {
		t.Fatal(err)
	}
}

func TestPlain(t *testing.T) {
	dir := t.TempDir()
	var out, progress bytes.Buffer
	printAll(t, Plain(&out, &progress, &Folder{Dir: dir}), events(t))
	want := `> Hm, a ROI.

I will **compute** it.

Now.

    >>> x = 1
    ...
    ... print(roi(x))
    -> roi(investment=1000, label="a \"b\"")
    25.0
    next
    picture: ` + filepath.Join(dir, "figure-1.png") + `
    'done'
    ValueError: bad

The ROI is 25 %.` + "\x1b]52;c;evil\a\n"
	if out.String() != want {
		t.Errorf("got:\n%s\nwant:\n%s", out.String(), want)
	}
	if got := progress.String(); got != "codeagent: the model call failed; again in 4s (throttled)\n" {
		t.Errorf("progress: %q", got)
	}
}

func TestTerminal(t *testing.T) {
	for _, noColor := range []bool{false, true} {
		var out bytes.Buffer
		p, err := Terminal(&out, Style{Width: 60, NoColor: noColor}, &Folder{Dir: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		printAll(t, p, events(t))
		got := out.String()
		if coloured := strings.Contains(got, "\x1b["); coloured == noColor {
			t.Errorf("NoColor %v: escape sequences %v in %q", noColor, coloured, got)
		}
		if strings.Contains(got, "\x1b]") || strings.Contains(got, "\a") {
			t.Errorf("the model controls the terminal: %q", got)
		}
		if !noColor && strings.Contains(got, "**compute**") {
			t.Errorf("Markdown was not rendered: %q", got)
		}
		bare := sgr(got)
		for _, s := range []string{"Hm, a ROI.", "compute", "Now.", "▌ x = 1", "→ roi(investment=1000", "25.0", "next\n", "figure-1.png", "'done'", "ValueError: bad", "The ROI is 25 %"} {
			if !strings.Contains(bare, s) {
				t.Errorf("NoColor %v: %q is missing in\n%s", noColor, s, bare)
			}
		}
		if strings.Contains(bare, "\n\n\n") {
			t.Errorf("two empty lines in\n%s", bare)
		}
	}
}

// sgr removes the escape sequences that we write ourselves.
func sgr(s string) string {
	for {
		i := strings.Index(s, "\x1b[")
		if i < 0 {
			return s
		}
		j := i + 2
		for j < len(s) && (s[j] < '@' || s[j] > '~') {
			j++
		}
		s = s[:i] + s[min(j+1, len(s)):]
	}
}

// TestTerminalStreams: a paragraph is shown when it is whole, not at the end.
func TestTerminalStreams(t *testing.T) {
	var out bytes.Buffer
	p, err := Terminal(&out, Style{NoColor: true}, &Folder{})
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		delta, shown string
		want         bool
	}{
		{"first par", "first", false},
		{"agraph\n\nsec", "first paragraph", true},
		{"ond", "second", false},
		{"\n\n", "second", true},
		{"```python\nalpha\n\nbeta\n", "alpha", false}, // a fence is one paragraph
		{"```\n\n", "alpha", true},
	} {
		out.Reset()
		if err := p.Event(strands.Event{Delta: &strands.Delta{Text: step.delta}}); err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(out.String(), step.shown); got != step.want {
			t.Errorf("after %q: %q shown: %v, want %v; wrote %q", step.delta, step.shown, got, step.want, out.String())
		}
	}
}

func TestJSON(t *testing.T) {
	dir := t.TempDir()
	var out bytes.Buffer
	list := events(t)
	printAll(t, JSON(&out, &Folder{Dir: dir}), list)
	lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	if len(lines) != len(list) {
		t.Fatalf("%d lines for %d events", len(lines), len(list))
	}
	pictures := 0
	for _, l := range lines {
		var e strands.Event
		if err := json.Unmarshal([]byte(l), &e); err != nil {
			t.Fatalf("%s: %v", l, err)
		}
		if e.Output != nil && e.Output.Image != nil {
			pictures++
			path, ok := strings.CutPrefix(e.Output.Image.URI, "file://")
			if data, err := os.ReadFile(path); !ok || err != nil || len(data) == 0 || e.Output.Image.Data != nil {
				t.Errorf("picture %+v: %v", e.Output.Image, err)
			}
		}
	}
	if pictures != 1 || list[10].Output.Image.Data == nil {
		t.Errorf("%d pictures; the event of the caller was changed: %v", pictures, list[10].Output.Image.Data == nil)
	}
}

func TestFolderReplacesNothing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "out")
	var told []string
	f := &Folder{Dir: dir, Saved: func(p string) { told = append(told, p) }}
	for i, want := range []string{"a.csv", "a-2.csv", "a-3.csv"} {
		got, err := f.File("a.csv", strings.NewReader(want))
		if err != nil || got != filepath.Join(dir, want) {
			t.Fatalf("file %d: %s, %v", i, got, err)
		}
		if data, err := os.ReadFile(got); err != nil || string(data) != want {
			t.Errorf("%s holds %q, %v", got, data, err)
		}
	}
	if got, err := f.File("sub/b.txt", strings.NewReader("b")); err != nil || got != filepath.Join(dir, "sub", "b.txt") {
		t.Errorf("%s, %v", got, err)
	}
	if got := f.Path("a.csv"); got != filepath.Join(dir, "a-3.csv") {
		t.Errorf("a.csv is said to be in %s", got)
	}
	if len(told) != 4 {
		t.Errorf("told of %v", told)
	}
}

func TestFolderKeepsFilesInside(t *testing.T) {
	base := t.TempDir()
	dir := filepath.Join(base, "out")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(base, filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"../x", "/etc/x", "link/x", "a/../../x"} {
		if p, err := (&Folder{Dir: dir}).File(name, strings.NewReader("x")); err == nil {
			t.Errorf("%s was written to %s", name, p)
		}
	}
	if _, err := os.Stat(filepath.Join(base, "x")); err == nil {
		t.Error("a file was written outside of the folder")
	}
}

func TestClean(t *testing.T) {
	for in, want := range map[string]string{
		"plain\ttext\r\n": "plain\ttext\r\n",
		"\x1b[2J":         "␛[2J",
		"a\x00b\x7f":      "a␀b\uFFFD",
		"\u009b31m":       "\uFFFD31m",
		"größe €":         "größe €",
	} {
		if got := Clean(in); got != want {
			t.Errorf("Clean(%q) = %q, want %q", in, got, want)
		}
	}
}
