package codeagent

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path"
	"strconv"
	"strings"

	"github.com/strandsgo/strands"
	"github.com/strandsgo/strands/python"
)

// Artifacts keeps what code leaves behind; *artifact.Keeper is one. It must be
// safe for concurrent use.
type Artifacts interface {
	// Keep stores data as a; Name and MIME are set, of a picture only MIME.
	Keep(ctx context.Context, s *strands.Session, a strands.Artifact, data io.Reader) error
	// Hooks are registered with the agent.
	Hooks() strands.Hooks
}

// mostKept is how many files of a snippet are kept.
const mostKept = 100

// keeping gives the pictures and files of each snippet to a. What cannot be
// kept is told to the operator, and to the model, which must not promise it.
func keeping(a Artifacts, logger *slog.Logger) func(context.Context, python.Session, *python.Result) {
	if logger == nil {
		logger = slog.Default()
	}
	return func(ctx context.Context, repl python.Session, res *python.Result) {
		s := strands.SessionFrom(ctx)
		if s == nil {
			return // nobody would be told
		}
		lost := func(what string, err error) {
			logger.WarnContext(ctx, "codeagent: an artifact was lost", "name", what, "error", err)
			res.Warnings = append(res.Warnings, what+" could not be kept: the user does not get it")
		}
		for i, m := range res.Images {
			if err := a.Keep(ctx, s, strands.Artifact{MIME: m.MIME}, bytes.NewReader(m.Data)); err != nil {
				lost(fmt.Sprintf("picture %d", i+1), err)
			}
		}
		filer, ok := repl.(python.Filer)
		for i, f := range res.Files {
			switch {
			case !ok || res.StateLost:
				lost(f.Name, errors.New("its session has ended"))
			case i >= mostKept:
				lost(fmt.Sprintf("%d files more", len(res.Files)-i), fmt.Errorf("at most %d of a snippet are kept", mostKept))
				return
			default:
				if err := keepFile(ctx, a, s, filer, f); err != nil {
					lost(f.Name, err)
				}
			}
		}
	}
}

func keepFile(ctx context.Context, a Artifacts, s *strands.Session, filer python.Filer, f strands.File) (err error) {
	r, err := filer.ReadFile(ctx, f.Name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	return a.Keep(ctx, s, strands.Artifact{Name: f.Name, MIME: f.MIME}, r)
}

// givenRules name the files that code begins with, and who tells of those that
// it makes.
func givenRules(cfg *Config) []string {
	var rules []string
	var names []string
	for _, b := range cfg.Binds {
		name := b.Target
		if name == "" {
			name = "/mnt/" + path.Base(b.Source)
		}
		names = append(names, strconv.Quote(name))
	}
	for _, in := range cfg.Inputs {
		names = append(names, strconv.Quote(in.Name))
	}
	if len(names) > 0 {
		rules = append(rules, "The user has given you these files: "+strings.Join(names, ", ")+".")
	}
	if cfg.Artifacts != nil {
		rules = append(rules, "Below your answer the program lists every picture, as Figure 1, Figure 2 and so on, and every file, with a link. Speak of them by number or name, and write no links yourself.")
	}
	return rules
}
