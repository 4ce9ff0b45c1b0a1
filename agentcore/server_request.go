package agentcore

import (
	"bytes"
	"io"
	"io/fs"
	"path"
	"regexp"
	"strings"
	"unicode/utf8"
)

// What a request may hold, as on AWS.
const (
	maxInline = 100_000_000 // bytes of a string or a file
	maxPath   = 255         // bytes of one part of a path
	maxPaths  = 1000
	maxSource = 16 << 20 // what a kernel takes; AWS says maxInline
)

// toolRequest is the body of an invocation. One structure holds the arguments
// of all tools.
type toolRequest struct {
	Name      string     `json:"name"`
	Arguments *arguments `json:"arguments"`
}

type arguments struct {
	Code      *string     `json:"code"`
	Language  *string     `json:"language"`
	Clear     bool        `json:"clearContext"`
	Command   *string     `json:"command"`
	Path      *string     `json:"path"`
	Paths     []string    `json:"paths"`
	Content   []inputFile `json:"content"`
	Directory *string     `json:"directoryPath"`
	Task      *string     `json:"taskId"`
	Runtime   *string     `json:"runtime"`
}

type inputFile struct {
	Path *string `json:"path"`
	Text *string `json:"text"`
	Blob *[]byte `json:"blob"`
}

// reader reads the file's contents.
func (f *inputFile) reader() io.Reader {
	if f.Text != nil {
		return strings.NewReader(*f.Text)
	}
	return bytes.NewReader(*f.Blob)
}

// The tools.
const (
	toolExecuteCode    = "executeCode"
	toolExecuteCommand = "executeCommand"
	toolReadFiles      = "readFiles"
	toolListFiles      = "listFiles"
	toolRemoveFiles    = "removeFiles"
	toolWriteFiles     = "writeFiles"
	toolStartCommand   = "startCommandExecution"
	toolGetTask        = "getTask"
	toolStopTask       = "stopTask"
)

// parseTool reads and checks the body of an invocation. What it returns has
// all that its tool needs.
func parseTool(body []byte) (*toolRequest, error) {
	var r toolRequest
	if err := decode(body, &r); err != nil {
		return nil, err
	}
	if r.Arguments == nil {
		r.Arguments = &arguments{}
	}
	a := r.Arguments
	var err error
	switch r.Name {
	case "":
		err = invalid("name", "is required: the name of a tool")
	case toolExecuteCode:
		err = a.checkCode()
	case toolExecuteCommand, toolStartCommand:
		err = checkText("command", a.Command)
	case toolReadFiles, toolRemoveFiles:
		err = a.checkPaths()
	case toolListFiles:
		if a.Directory == nil {
			a.Directory = a.Path
		}
		if a.Directory != nil {
			*a.Directory, err = cleanPath("directoryPath", *a.Directory, true)
		}
	case toolWriteFiles:
		err = a.checkContent()
	case toolGetTask, toolStopTask:
		if a.Task == nil || *a.Task == "" {
			err = invalid("taskId", "is required")
		}
	default:
		err = invalid("name", "there is no tool %.60q", r.Name)
	}
	if err != nil {
		return nil, err
	}
	return &r, nil
}

func checkText(field string, text *string) error {
	switch {
	case text == nil || *text == "":
		return invalid(field, "is required")
	case len(*text) > maxSource:
		return invalid(field, "has %d bytes; at most %d can be run: write a file and run that", len(*text), maxSource)
	case field == "command" && strings.ContainsRune(*text, 0):
		return invalid(field, "holds a NUL")
	}
	return nil
}

// The languages and the runtimes that there are for each; the first one is
// what is taken when none is named.
var runtimes = map[string][]string{
	"python":     {"python"},
	"javascript": {"deno", "nodejs"},
	"typescript": {"deno", "nodejs"},
}

func (a *arguments) checkCode() error {
	if a.Code != nil && *a.Code == "" && a.Clear {
		return nil
	}
	if err := checkText("code", a.Code); err != nil {
		return err
	}
	if a.Language == nil {
		language := "python"
		if a.Runtime != nil && *a.Runtime != "python" {
			language = "javascript"
		}
		a.Language = &language
	}
	of, ok := runtimes[*a.Language]
	if !ok {
		return invalid("language", "is python, javascript or typescript")
	}
	if a.Runtime == nil {
		a.Runtime = &of[0]
	}
	for _, r := range of {
		if *a.Runtime == r {
			return nil
		}
	}
	return invalid("runtime", "%.20q does not run %s", *a.Runtime, *a.Language)
}

func (a *arguments) checkPaths() (err error) {
	if len(a.Paths) == 0 {
		return invalid("paths", "is required")
	}
	if len(a.Paths) > maxPaths {
		return invalid("paths", "has more than %d entries", maxPaths)
	}
	for i, p := range a.Paths {
		if a.Paths[i], err = cleanPath("paths", p, false); err != nil {
			return err
		}
	}
	return nil
}

// checkContent looks at all files before one is written.
func (a *arguments) checkContent() (err error) {
	if len(a.Content) == 0 {
		return invalid("content", "is required")
	}
	if len(a.Content) > maxPaths {
		return invalid("content", "has more than %d entries", maxPaths)
	}
	seen := map[string]bool{}
	for i := range a.Content {
		f := &a.Content[i]
		switch {
		case f.Path == nil:
			return invalid("content.path", "is required")
		case (f.Text == nil) == (f.Blob == nil):
			return invalid("content", "%.100q needs either text or blob", *f.Path)
		case f.Text != nil && len(*f.Text) > maxInline, f.Blob != nil && len(*f.Blob) > maxInline:
			return invalid("content", "%.100q is larger than %d bytes", *f.Path, maxInline)
		}
		if *f.Path, err = cleanPath("content.path", *f.Path, false); err != nil {
			return err
		}
		if seen[*f.Path] {
			return invalid("content.path", "%.100q is there twice", *f.Path)
		}
		seen[*f.Path] = true
	}
	for p := range seen {
		for up := path.Dir(p); up != "."; up = path.Dir(up) {
			if seen[up] {
				return invalid("content.path", "%.100q cannot be a file and a directory", up)
			}
		}
	}
	return nil
}

// cleanPath returns the path of a file below the working directory, without
// dots. The empty path, and ".", are the directory itself, where that is
// allowed.
func cleanPath(field, p string, directory bool) (string, error) {
	switch {
	case !utf8.ValidString(p) || strings.ContainsFunc(p, func(r rune) bool { return r < 0x20 || r == 0x7f || r == '\\' }):
		return "", invalid(field, "%.100q holds characters that are not allowed in a path", p)
	case strings.HasPrefix(p, "/") || hasDrive.MatchString(p):
		return "", invalid(field, "%.100q is absolute; paths are relative to the working directory", p)
	}
	for part := range strings.SplitSeq(p, "/") {
		if part == ".." {
			return "", invalid(field, "%.100q leaves the working directory", p)
		}
		if len(part) > maxPath {
			return "", invalid(field, "%.60q… has a part of more than %d bytes", p, maxPath)
		}
	}
	clean := path.Clean(p)
	if clean == "." {
		if directory {
			return "", nil
		}
		return "", invalid(field, "%.100q names no file", p)
	}
	if !fs.ValidPath(clean) || len(clean) > 1024 || (strings.HasSuffix(p, "/") && !directory) {
		return "", invalid(field, "%.100q names no file", p)
	}
	return clean, nil
}

var hasDrive = regexp.MustCompile(`^[A-Za-z]:`)
