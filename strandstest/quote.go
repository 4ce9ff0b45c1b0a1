package strandstest

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"text/template"

	"github.com/strandsgo/strands"
)

// quote fills a template of a Turn with what the tools of history answered.
func quote(text string, history []strands.Message) (string, error) {
	if !strings.Contains(text, "{{") {
		return text, nil
	}
	t, err := parseQuotes(text, answers(history))
	if err != nil {
		return "", err
	}
	var b strings.Builder
	if err := t.Execute(&b, nil); err != nil {
		return "", plain(err)
	}
	return b.String(), nil
}

func parseQuotes(text string, a answerList) (*template.Template, error) {
	t, err := template.New("").Option("missingkey=error").Funcs(template.FuncMap{
		"stdout": a.section("STDOUT"),
		"stderr": a.section("STDERR"),
		"value":  a.section("VALUE"),
		"error":  a.section("ERROR"),
		"result": a.result,
		"match":  a.match,
		"ok":     a.ok,
	}).Parse(text)
	if err != nil {
		return nil, plain(err)
	}
	return t, nil
}

var templatePlace = regexp.MustCompile(`^template: :(\d+)(:\d+)?: (executing "" at .*?: (error calling \w+: )?)?`)

// plain takes out of a template's error what only tells where in the one
// template it was; the quote itself is named by the functions below.
func plain(err error) error {
	return errors.New(templatePlace.ReplaceAllString(err.Error(), ""))
}

// answerList are the results of a history's tool calls, in order.
type answerList []*strands.ToolResult

func answers(history []strands.Message) answerList {
	var list answerList
	for _, m := range history {
		list = append(list, m.ToolResults()...)
	}
	return list
}

func (a answerList) nth(n int) (*strands.ToolResult, error) {
	i := n - 1
	if n < 0 {
		i = len(a) + n
	}
	if n == 0 || i < 0 || i >= len(a) {
		return nil, fmt.Errorf("there is no tool call %d; %d were answered so far, counted from 1", n, len(a))
	}
	return a[i], nil
}

func (a answerList) ok(n int) (bool, error) {
	r, err := a.nth(n)
	return err == nil && !r.IsError, err
}

func (a answerList) result(n int) (string, error) {
	r, err := a.nth(n)
	if err != nil {
		return "", err
	}
	if text := strings.TrimSpace(r.Text()); text != "" {
		return text, nil
	}
	return "", fmt.Errorf("result %d: the answer is empty", n)
}

func (a answerList) match(n int, pattern string) (string, error) {
	re, err := regexp.Compile(pattern)
	if err != nil {
		return "", fmt.Errorf("match %d: %w", n, err)
	}
	r, err := a.nth(n)
	if err != nil {
		return "", err
	}
	m := re.FindStringSubmatch(r.Text())
	if m == nil {
		return "", fmt.Errorf("match %d: %q is not in the answer %s", n, pattern, short(r.Text()))
	}
	return m[min(1, len(m)-1)], nil
}

// heading is a line of a python_repl answer that begins a section: the default
// labels of python.ToolConfig.
var heading = regexp.MustCompile(`(?m)^(STDOUT|STDERR|VALUE|PICTURES|FILES|ERROR|STATE LOST|NOTES):\n`)

func (a answerList) section(name string) func(int) (string, error) {
	return func(n int) (string, error) {
		r, err := a.nth(n)
		if err != nil {
			return "", err
		}
		text := r.Text()
		all := heading.FindAllStringSubmatchIndex(text, -1)
		for i, h := range all {
			if text[h[2]:h[3]] != name {
				continue
			}
			end := len(text)
			if i+1 < len(all) {
				end = all[i+1][0]
			}
			if body := strings.TrimSpace(text[h[1]:end]); body != "" {
				return body, nil
			}
		}
		return "", fmt.Errorf("%s %d: the answer has no %s: %s", strings.ToLower(name), n, name, short(text))
	}
}

func short(s string) string {
	if len(s) > 200 {
		s = strings.ToValidUTF8(s[:200], "") + "…"
	}
	return fmt.Sprintf("%q", s)
}
