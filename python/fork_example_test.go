package python_test

import (
	"context"
	"fmt"
	"log"

	"github.com/strandsgo/strands/python"
)

func ExampleTry() {
	ctx := context.Background()
	backend := &python.Sandboxed{}
	defer backend.Close()
	s, err := backend.Open(ctx, python.Options{Undo: true})
	if err != nil {
		log.Fatal(err)
	}

	// Each candidate runs from the same state, in a fork of s.
	trial, err := python.Try(ctx, s, "n = int('7 apples')", "n = int('7 apples'.split()[0])")
	if err != nil {
		log.Fatal(err) // a *python.ForkError says why, and what to do
	}
	defer trial.Close()
	for i, res := range trial.Results {
		if res.Err == nil {
			err = trial.Keep(ctx, i) // s goes on from here
			break
		}
	}
	if err != nil {
		log.Fatal(err)
	}

	for _, err := range s.Exec(ctx, "del n; open('report.txt', 'w').write('none')") {
		if err != nil {
			log.Fatal(err)
		}
	}
	undone, err := s.(python.Undoer).Undo(ctx) // n is back
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(undone.FilesChanged) // and report.txt is still there
}
