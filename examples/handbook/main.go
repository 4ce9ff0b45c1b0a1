// Handbook answers questions from two manuals of 3,566 pages: it makes a bundle
// of each, opens both as one, and lets a model find its way in them.
//
//	examples/handbook/fetch.sh manuals
//	go run ./examples/handbook -manuals manuals
//	HANDBOOK_MODEL=anthropic/claude-sonnet-4-5 go run ./examples/handbook -manuals manuals "How do I fit a linear model in R?"
//
// Without HANDBOOK_MODEL the model's words are scripted, so that no key is
// needed; what it finds and reads is real.
package main

import (
	"cmp"
	"context"
	_ "embed"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"

	"github.com/strandsgo/strands"
	"github.com/strandsgo/strands/codeagent"
	"github.com/strandsgo/strands/knowledge"
	"github.com/strandsgo/strands/knowledge/pdf"
	"github.com/strandsgo/strands/models"
	_ "github.com/strandsgo/strands/python/embedded" // CPython inside the binary
	"github.com/strandsgo/strands/strandstest"
)

//go:embed script.yaml
var script []byte

const question = "How do I fit a linear model in R, and how does a C++ function promise not to throw?"

func main() {
	if len(os.Args) == 2 && os.Args[1] == "convert-worker" { // see convert
		if err := pdf.Worker(context.Background(), os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, "handbook:", err)
			os.Exit(1)
		}
		return
	}
	manuals := flag.String("manuals", "manuals", "folder that fetch.sh filled; the bundles are made beside the manuals")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := answer(ctx, *manuals, cmp.Or(strings.Join(flag.Args(), " "), question)); err != nil {
		fmt.Fprintln(os.Stderr, "handbook:", err)
		os.Exit(1)
	}
}

func answer(ctx context.Context, manuals, question string) error {
	r, err := open(ctx, manuals, "r", "R reference manual")
	if err != nil {
		return err
	}
	defer r.Close()
	cpp, err := open(ctx, manuals, "cplusplus", "C++ Annotations")
	if err != nil {
		return err
	}
	defer cpp.Close()
	both, err := knowledge.NewLibrary(r, cpp)
	if err != nil {
		return err
	}
	return ask(ctx, os.Stdout, both, question)
}

// ask lets a model answer from the documents, and writes what it says, and what
// its code prints, to w.
func ask(ctx context.Context, w io.Writer, docs knowledge.Source, question string) error {
	model, err := pick(ctx)
	if err != nil {
		return err
	}
	agent, err := codeagent.New(codeagent.Config{
		Model:        model,
		SystemPrompt: "Answer from the documents in `docs` only. Name the ids of the sections you used.",
		Toolkits:     []codeagent.Toolkit{codeagent.KnowledgeOf(docs)},
	})
	if err != nil {
		return err
	}
	defer agent.Close()
	session := agent.NewSession()
	defer session.Close()
	fmt.Fprintln(w, "Question:", question)
	for event, err := range session.Run(ctx, strands.Prompt(question)) {
		switch {
		case err != nil:
			return err
		case event.Delta != nil:
			fmt.Fprint(w, event.Delta.Text)
		case event.Output != nil:
			fmt.Fprint(w, event.Output.Stdout)
		}
	}
	fmt.Fprintln(w)
	return nil
}

// open opens the bundle of a manual. It is made at the first run, in a process
// of its own, since a document may be anybody's; later runs find it unchanged.
func open(ctx context.Context, manuals, name, title string) (*knowledge.Bundle, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(manuals, name)
	report, err := pdf.Convert(ctx, dir+".pdf", dir, pdf.Options{Title: title, Worker: []string{exe, "convert-worker"}})
	if err != nil {
		return nil, fmt.Errorf("%w (examples/handbook/fetch.sh %s fetches the manuals)", err, manuals)
	}
	fmt.Printf("%s: %d pages, %d concepts, %d of %d words\n", title, report.Pages, report.Concepts, report.WordsKept, report.WordsIn)
	return knowledge.Open(ctx, dir, knowledge.Options{})
}

// pick opens the model that the environment names, or plays the script.
func pick(ctx context.Context) (strands.Model, error) {
	if name := os.Getenv("HANDBOOK_MODEL"); name != "" {
		return models.Open(ctx, name)
	}
	return strandstest.ParseScript("script.yaml", script)
}
