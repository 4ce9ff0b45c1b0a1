package codeagent_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/strandsgo/strands"
	"github.com/strandsgo/strands/codeagent"
	"github.com/strandsgo/strands/strandstest"
)

// bundle writes a small bundle and returns its folder.
func bundle(t *testing.T, name string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), name)
	if err := os.MkdirAll(filepath.Join(dir, "travel"), 0o755); err != nil {
		t.Fatal(err)
	}
	for file, text := range map[string]string{
		"travel.md":        "---\ntype: Chapter\ntitle: Travel\n---\nAsk first.\n",
		"travel/trains.md": "---\ntype: Section\ntitle: Trains\nparent: travel\n---\nSecond class up to 300 km.\nFirst class beyond.\n",
		"travel/meals.md":  "---\ntype: Section\ntitle: Meals\nparent: travel\n---\nA daily allowance of 28 euros abroad.\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestKnowledge(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	cfg := codeagent.Config{Toolkits: []codeagent.Toolkit{codeagent.Knowledge(bundle(t, "handbook"))}}
	got := snippets(t, cfg,
		`print(docs.find("How much money do I get for food in other countries? allowance"))`,
		`print(docs.read("travel/trains", from_line=2))`,
		`print(docs.children("travel"), docs.toc(depth=2), docs.grep(r"\d+ km"))`,
		`docs.read("travel/train")`,
		`import os; os.listdir("/")`)
	wantText(t, got[0], false, "travel/meals", "28 euros")
	wantText(t, got[1], false, "First class beyond.")
	wantText(t, got[2], false, "Trains", "Meals", "Second class up to 300 km.")
	wantText(t, got[3], true, "travel/train", "travel/trains")
	wantText(t, got[4], true, "os")
}

func TestKnowledgeOfSeveral(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	cfg := codeagent.Config{Toolkits: []codeagent.Toolkit{codeagent.Knowledge(bundle(t, "old"), bundle(t, "new"))}}
	got := snippets(t, cfg, `print(docs.find("allowance abroad"), docs.read("new/travel/meals"))`)
	wantText(t, got[0], false, "old/travel/meals", "new/travel/meals", "28 euros")
}

// TestKnowledgePrompt: what the prompt says of docs stays small.
func TestKnowledgePrompt(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	with, err := codeagent.Instructions(codeagent.Config{Toolkits: []codeagent.Toolkit{codeagent.Knowledge(bundle(t, "handbook"))}})
	if err != nil {
		t.Fatal(err)
	}
	_, about, _ := strings.Cut(with, "class docs:")
	about, _, _ = strings.Cut(about, "```")
	// Four characters are a token, near enough.
	if tokens := len(about) / 4; tokens < 50 || tokens > 300 {
		t.Errorf("%d tokens:\n%s", tokens, with)
	}
	for _, want := range []string{"handbook (3 sections)", "def find(", "def grep("} {
		if !strings.Contains(with, want) {
			t.Errorf("%q is not in the prompt:\n%s", want, with)
		}
	}
}

func TestKnowledgeErrors(t *testing.T) {
	for name, c := range map[string]struct {
		kit  codeagent.Toolkit
		want string
	}{
		"missing":   {codeagent.Knowledge(filepath.Join(t.TempDir(), "none")), "none"},
		"empty":     {codeagent.Knowledge(t.TempDir()), "no concepts"},
		"nothing":   {codeagent.Knowledge(), "needs the folder"},
		"same name": {codeagent.Knowledge(bundle(t, "a"), bundle(t, "a")), `"a"`},
	} {
		_, err := codeagent.New(codeagent.Config{Model: script(), Toolkits: []codeagent.Toolkit{c.kit}})
		e, ok := errors.AsType[*strands.InputError](err)
		if !ok || e.Field != "Toolkits[0]" || !strings.Contains(e.Reason, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// An agent that answers from a bundle of documents.
func ExampleKnowledge() {
	model := &strandstest.Script{Turns: []strandstest.Turn{
		{Python: `print(docs.find("Which class may I book on a train?"))`},
		{Text: `It depends on the distance: see {{ match 1 "(travel/trains)" }}.`},
	}}
	agent, err := codeagent.New(codeagent.Config{
		Model:        model,
		SystemPrompt: "You answer from the handbook and name the sections you used.",
		Toolkits:     []codeagent.Toolkit{codeagent.Knowledge("testdata/handbook")},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer agent.Close()
	res, err := agent.Ask(context.Background(), "May I go first class?")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(res.Text())
	// Output: It depends on the distance: see travel/trains.
}
