//go:build linux

package main_test

import (
	"bufio"
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/bedrockagentcore"
	"github.com/aws/aws-sdk-go-v2/service/bedrockagentcore/types"
)

// The AWS SDK runs code in all languages through the program; Ctrl-C ends it.
func TestInterpreterServes(t *testing.T) {
	keys := filepath.Join(t.TempDir(), "keys")
	if err := os.WriteFile(keys, []byte("AKIDFILE:secret-of-the-file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := call{
		args: []string{"interpreter", "--listen", "127.0.0.1:0", "--keys", keys, "--toolkit", "data", "--session-timeout", "20m"},
		env:  []string{"CODEAGENT_INTERPRETER_KEYS=AKIDENV:other"},
	}
	cmd := c.command(t)
	errOut, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines, said := bufio.NewScanner(errOut), ""
	url := ""
	for url == "" && lines.Scan() {
		said += lines.Text() + "\n"
		url = regexp.MustCompile(`http://127\.0\.0\.1:\d+`).FindString(lines.Text())
	}
	for _, key := range [][2]string{{"AKIDFILE", "secret-of-the-file"}, {"AKIDENV", "other"}} {
		runLanguages(t, url, key)
	}
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	for lines.Scan() {
		said += lines.Text() + "\n"
	}
	if err := cmd.Wait(); err != nil || !strings.Contains(said, "codeagent: stopped") || strings.Contains(said, "secret-of") || strings.Contains(said, "no keys") {
		t.Errorf("%v, stderr:\n%s", err, said)
	}
}

func runLanguages(t *testing.T, url string, key [2]string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	client := bedrockagentcore.New(bedrockagentcore.Options{
		Region: "us-west-2", BaseEndpoint: aws.String(url), Credentials: credentials.NewStaticCredentialsProvider(key[0], key[1], ""),
	})
	id := aws.String("aws.codeinterpreter.v1")
	session, err := client.StartCodeInterpreterSession(ctx, &bedrockagentcore.StartCodeInterpreterSessionInput{CodeInterpreterIdentifier: id})
	if err != nil {
		t.Fatal(err)
	}
	for code, language := range map[string]types.ProgrammingLanguage{
		"import pandas; print(pandas.Series([40, 2]).sum())": types.ProgrammingLanguagePython,
		"console.log([40, 2].reduce((a, b) => a + b))":       types.ProgrammingLanguageJavascript,
		"const n: number = 42; console.log(n)":               types.ProgrammingLanguageTypescript,
	} {
		out, err := client.InvokeCodeInterpreter(ctx, &bedrockagentcore.InvokeCodeInterpreterInput{
			CodeInterpreterIdentifier: id, SessionId: session.SessionId, Name: types.ToolNameExecuteCode,
			Arguments: &types.ToolArguments{Code: &code, Language: language},
		})
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		for e := range out.GetStream().Events() {
			if r, ok := e.(*types.CodeInterpreterStreamOutputMemberResult); ok {
				got = aws.ToString(r.Value.Content[0].Text)
			}
		}
		if err := out.GetStream().Close(); err != nil || got != "42" {
			t.Errorf("%s: %q, %v", code, got, err)
		}
	}
	if got, err := client.GetCodeInterpreterSession(ctx, &bedrockagentcore.GetCodeInterpreterSessionInput{
		CodeInterpreterIdentifier: id, SessionId: session.SessionId,
	}); err != nil || *got.SessionTimeoutSeconds != 1200 {
		t.Errorf("%v, %v", got, err)
	}
}

func TestInterpreterRefuses(t *testing.T) {
	dir := t.TempDir()
	open := filepath.Join(dir, "open")
	if err := os.WriteFile(open, []byte("A:b"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(open, 0o644); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		args, env []string
		want      string
	}{
		"a file that others read": {[]string{"--keys", open}, nil, "chmod 600"},
		"a missing file":          {[]string{"--keys", filepath.Join(dir, "no")}, nil, "no such file"},
		"half a key":              {nil, []string{"CODEAGENT_INTERPRETER_KEYS=AKID"}, "ID:SECRET"},
		"all the world":           {[]string{"--listen", "0.0.0.0:0", "--toolkit", "data"}, nil, "listen on 127.0.0.1"},
		"a long life":             {[]string{"--max-session-timeout", "9h"}, nil, "8 h"},
		"a negative time":         {[]string{"--timeout", "-1s"}, nil, "--timeout"},
		"an unknown toolkit":      {[]string{"--toolkit", "magic"}, nil, "magic"},
	} {
		r := call{args: append([]string{"interpreter"}, test.args...), env: test.env}.run(t)
		if last := strings.TrimRight(r.stderr, "\n"); r.code != 2 || !strings.Contains(last[strings.LastIndex(last, "\n")+1:], test.want) {
			t.Errorf("%s: exit code %d, stderr %q", name, r.code, r.stderr)
		}
	}
}
