package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/strandsgo/strands/cmd/codeagent/internal/show"
	"github.com/strandsgo/strands/knowledge"
	"github.com/strandsgo/strands/knowledge/markup"
	"github.com/strandsgo/strands/knowledge/pdf"
)

func newOKF() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "okf",
		Short: "Make bundles of documents, and look things up in them",
		Args:  cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return usagef("say what to do: build, find, read, children, toc, grep or check (%s --help tells more)", cmd.CommandPath())
		},
	}
	cmd.AddCommand(newBuild(), newBuildWorker(), newFind(), newRead(), newChildren(), newTOC(), newGrep(), newCheck(), newLicenses())
	return cmd
}

// newBuildWorker is the process that build reads a document in.
func newBuildWorker() *cobra.Command {
	return &cobra.Command{
		Use: "build-worker", Hidden: true, Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return pdf.Worker(cmd.Context(), cmd.InOrStdin(), cmd.OutOrStdout())
		},
	}
}

// progressBar is a line of a terminal that is written over.
type progressBar struct {
	out   io.Writer
	live  bool
	shown int
}

func (b *progressBar) show(done, total int) {
	percent := done * 100 / total
	if !b.live || percent == b.shown {
		return
	}
	b.shown = percent
	fmt.Fprintf(b.out, "\r[%-40s] %d of %d pages", strings.Repeat("=", percent*40/100), done, total)
}

func (b *progressBar) end() {
	if b.shown > 0 {
		fmt.Fprint(b.out, "\r\x1b[K")
	}
}

// newLicenses shows what comes with the converter of PDF documents.
func newLicenses() *cobra.Command {
	return &cobra.Command{
		Use: "licenses", Short: "Print the licences of the PDF converter's third-party software", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := io.WriteString(cmd.OutOrStdout(), pdf.Licenses)
			return err
		},
	}
}

// exactly demands n arguments.
func exactly(n int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != n {
			return usagef("%s takes %d arguments, but got %d: %s", cmd.CommandPath(), n, len(args), cmd.UseLine())
		}
		return nil
	}
}

// badInput marks what is the fault of a document, a folder or an id.
func badInput(err error) error {
	_, isDocument := errors.AsType[*pdf.Error](err)
	_, isSource := errors.AsType[*markup.Error](err)
	_, notFound := errors.AsType[*knowledge.NotFoundError](err)
	if isDocument || isSource || notFound || errors.Is(err, os.ErrNotExist) {
		return &exit{exitUsage, err}
	}
	return err
}

// look opens the bundle in dir, together with those of --with, and prints what
// do finds in it, as text or as JSON.
func look[T fmt.Stringer](cmd *cobra.Command, dir string, asJSON bool, do func(ctx context.Context, b knowledge.Source) (T, error)) error {
	more, err := cmd.Flags().GetStringArray("with")
	if err != nil {
		return err
	}
	var bundles []*knowledge.Bundle
	for _, d := range append([]string{dir}, more...) {
		b, err := knowledge.Open(cmd.Context(), d, knowledge.Options{})
		if err != nil {
			return badInput(err)
		}
		defer b.Close()
		bundles = append(bundles, b)
	}
	var b knowledge.Source = bundles[0]
	if len(bundles) > 1 {
		if b, err = knowledge.NewLibrary(bundles...); err != nil {
			return usagef("%w; the folders need different names", err)
		}
	}
	v, err := do(cmd.Context(), b)
	if err != nil {
		return badInput(err)
	}
	if asJSON {
		if f, ok := any(v).(*knowledge.Found); ok {
			return encoder(cmd.OutOrStdout()).Encode(append([]knowledge.Match{}, f.Results...))
		}
		return encoder(cmd.OutOrStdout()).Encode(v)
	}
	_, err = fmt.Fprintln(cmd.OutOrStdout(), show.Clean(strings.TrimRight(v.String(), "\n")))
	return err
}
