package strandstest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/strandsgo/strands"
)

// LoadScript reads a Script from a file, YAML or JSON:
//
//	turns:
//	  - text: I will compute it.
//	    python: |
//	      print(2 ** 10)
//	  - text: "2 ** 10 is {{ stdout 1 }}."
//
// A turn has the fields of Turn: reasoning, text, python, calls (a list of
// tool, input and id), stop, usage (input, output), error (kind, message,
// retryAfter) and delay. Durations are written like "1.5s". A mistake is an
// error that begins with file and line.
func LoadScript(path string) (*Script, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading a script: %w", err)
	}
	return ParseScript(path, data)
}

// ParseScript is LoadScript of a file's content; name is for its errors.
func ParseScript(name string, data []byte) (*Script, error) {
	dec := yaml.NewDecoder(bytes.NewReader(data))
	dec.KnownFields(true)
	var f scriptFile
	if err := dec.Decode(&f); errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s:1: the file is empty; it needs a list named turns", name)
	} else if err != nil {
		return nil, fileError(name, err)
	}
	if len(f.Turns) == 0 {
		return nil, fmt.Errorf("%s:1: there are no turns", name)
	}
	var lines struct {
		Turns []yaml.Node `yaml:"turns"`
	}
	if err := yaml.Unmarshal(data, &lines); err != nil {
		return nil, fileError(name, err)
	}
	s := &Script{ID: f.Model}
	for i, t := range f.Turns {
		turn, err := t.turn()
		if err != nil {
			return nil, fmt.Errorf("%s:%d: turn %d: %w", name, lines.Turns[i].Line, i+1, err)
		}
		s.Turns = append(s.Turns, turn)
	}
	return s, nil
}

type scriptFile struct {
	Model string     `yaml:"model"`
	Turns []fileTurn `yaml:"turns"`
}

type fileTurn struct {
	Reasoning quoted     `yaml:"reasoning"`
	Text      quoted     `yaml:"text"`
	Python    string     `yaml:"python"`
	Calls     []fileCall `yaml:"calls"`
	Stop      stopReason `yaml:"stop"`
	Usage     fileUsage  `yaml:"usage"`
	Error     *fileErr   `yaml:"error"`
	Delay     duration   `yaml:"delay"`
}

type fileCall struct {
	Tool  string         `yaml:"tool"`
	Input map[string]any `yaml:"input"`
	ID    string         `yaml:"id"`
}

type fileUsage struct {
	Input     int `yaml:"input"`
	Output    int `yaml:"output"`
	CacheRead int `yaml:"cacheRead"`
}

type fileErr struct {
	Kind       errorKind `yaml:"kind"`
	Message    string    `yaml:"message"`
	RetryAfter duration  `yaml:"retryAfter"`
}

func (t fileTurn) turn() (Turn, error) {
	turn := Turn{
		Reasoning: string(t.Reasoning), Text: string(t.Text), Python: t.Python,
		Stop:  strands.StopReason(t.Stop),
		Usage: strands.Usage{Input: t.Usage.Input, Output: t.Usage.Output, CacheRead: t.Usage.CacheRead},
		Delay: time.Duration(t.Delay),
	}
	for _, c := range t.Calls {
		call := Call{ID: c.ID, Name: c.Tool}
		if c.Tool == "" {
			return turn, errors.New("a call needs the name of its tool")
		}
		if c.Input != nil {
			if _, err := json.Marshal(c.Input); err != nil {
				return turn, fmt.Errorf("the input of %s is no JSON object: %w", c.Tool, err)
			}
			call.Input = c.Input
		}
		turn.Calls = append(turn.Calls, call)
	}
	if t.Text == "" && t.Reasoning == "" && t.Python == "" && len(t.Calls) == 0 && t.Error == nil {
		return turn, errors.New("it says nothing; give it text, python, calls or an error")
	}
	if e := t.Error; e != nil {
		turn.Err = &strands.ModelError{
			Kind: strands.ModelErrorKind(e.Kind), Provider: "scripted", Model: "script",
			Message: e.Message, RetryAfter: time.Duration(e.RetryAfter),
		}
	}
	return turn, nil
}

// The types below check one scalar each, where its line is known.

type quoted string

func (q *quoted) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind != yaml.ScalarNode {
		return atLine(n, "a text is expected")
	}
	if _, err := parseQuotes(n.Value, nil); err != nil {
		return atLine(n, "%v", err)
	}
	*q = quoted(n.Value)
	return nil
}

type duration time.Duration

func (d *duration) UnmarshalYAML(n *yaml.Node) error {
	v, err := time.ParseDuration(n.Value)
	if err != nil || v < 0 {
		return atLine(n, "%q is no duration; write one like 1.5s", n.Value)
	}
	*d = duration(v)
	return nil
}

type stopReason strands.StopReason

func (s *stopReason) UnmarshalYAML(n *yaml.Node) error {
	switch r := strands.StopReason(n.Value); r {
	case strands.StopEndTurn, strands.StopToolUse, strands.StopMaxTokens, strands.StopSequence,
		strands.StopContentFiltered, strands.StopGuardrail, strands.StopRefusal, strands.StopPause:
		*s = stopReason(r)
		return nil
	}
	return atLine(n, "a model does not stop for the reason %q; one of end_turn, tool_use, max_tokens, stop_sequence, "+
		"content_filtered, guardrail_intervened, refusal, pause_turn", n.Value)
}

type errorKind strands.ModelErrorKind

func (k *errorKind) UnmarshalYAML(n *yaml.Node) error {
	switch kind := strands.ModelErrorKind(n.Value); kind {
	case strands.ModelThrottled, strands.ModelOverflow, strands.ModelRefused, strands.ModelAuth,
		strands.ModelNotFound, strands.ModelTransient, strands.ModelBadRequest:
		*k = errorKind(kind)
		return nil
	}
	return atLine(n, "%q is no kind of error; one of throttled, context_overflow, refused, auth, not_found, transient, "+
		"bad_request", n.Value)
}

func atLine(n *yaml.Node, format string, args ...any) error {
	return fmt.Errorf("line %d: %s", n.Line, fmt.Sprintf(format, args...))
}

var (
	yamlPrefix = regexp.MustCompile(`^(yaml: )?(unmarshal errors:\s*)?`)
	yamlLine   = regexp.MustCompile(`^line (\d+): (.*)`)
	yamlField  = regexp.MustCompile(`field (\S+) not found in type \S+`)
	yamlType   = regexp.MustCompile(`into strandstest\.\S+|into \[\]strandstest\.\S+`)
)

// fileError gives an error of the YAML library the form "file:line: what".
// Only the first of several mistakes is told.
func fileError(name string, err error) error {
	text := err.Error()
	var te *yaml.TypeError
	if errors.As(err, &te) && len(te.Errors) > 0 {
		text = te.Errors[0]
	}
	text = strings.TrimSpace(yamlPrefix.ReplaceAllString(text, ""))
	text = yamlField.ReplaceAllString(text, "unknown field $1")
	text = yamlType.ReplaceAllString(text, "to what belongs here")
	if m := yamlLine.FindStringSubmatch(text); m != nil {
		return fmt.Errorf("%s:%s: %s", name, m[1], m[2])
	}
	return fmt.Errorf("%s:1: %s", name, text)
}
