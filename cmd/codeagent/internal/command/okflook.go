package command

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/strandsgo/strands/cmd/codeagent/internal/show"
	"github.com/strandsgo/strands/knowledge"
)

func newFind() *cobra.Command {
	var o knowledge.FindOptions
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "find BUNDLE QUESTION",
		Short: "Rank the concepts that answer a question",
		Args:  cobra.MinimumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return look(cmd, args[0], asJSON, func(ctx context.Context, b knowledge.Source) (*knowledge.Found, error) {
				return b.Find(ctx, strings.Join(args[1:], " "), o)
			})
		},
	}
	cmd.Flags().IntVarP(&o.Limit, "limit", "n", 0, "results (default 5)")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print a list of JSON objects")
	withMore(cmd)
	return cmd
}

func newRead() *cobra.Command {
	var o knowledge.ReadOptions
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "read BUNDLE ID",
		Short: "Show a concept, whole or in part",
		Args:  exactly(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return look(cmd, args[0], asJSON, func(_ context.Context, b knowledge.Source) (*knowledge.Reading, error) {
				return b.Read(args[1], o)
			})
		},
	}
	fs := cmd.Flags()
	fs.IntVar(&o.Lines[0], "from", 0, "first line")
	fs.IntVar(&o.Lines[1], "to", 0, "last line")
	fs.StringVar(&o.Heading, "heading", "", "only the section under this heading")
	fs.IntVar(&o.Part, "part", 0, "only this part of what is too long, from 1")
	fs.IntVar(&o.MaxTokens, "max-tokens", 0, "of the text (default 8000; -1 = no bound)")
	fs.BoolVar(&asJSON, "json", false, "print one JSON object")
	withMore(cmd)
	return cmd
}

func newChildren() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "children BUNDLE ID",
		Short: "List what lies directly below a concept or folder",
		Args:  exactly(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return look(cmd, args[0], asJSON, func(_ context.Context, b knowledge.Source) (*knowledge.Contents, error) {
				return b.Children(args[1])
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	withMore(cmd)
	return cmd
}

func newTOC() *cobra.Command {
	var o knowledge.TOCOptions
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "toc BUNDLE",
		Short: "Show the table of contents",
		Args:  exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return look(cmd, args[0], asJSON, func(_ context.Context, b knowledge.Source) (*knowledge.Contents, error) {
				return b.TOC(o)
			})
		},
	}
	fs := cmd.Flags()
	fs.StringVar(&o.Under, "under", "", "only what lies below this id")
	fs.IntVar(&o.Depth, "depth", 0, "levels (default 1)")
	fs.IntVarP(&o.Max, "limit", "n", 0, "lines (default 100)")
	fs.BoolVar(&asJSON, "json", false, "print one JSON object")
	withMore(cmd)
	return cmd
}

func newGrep() *cobra.Command {
	var o knowledge.GrepOptions
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "grep BUNDLE PATTERN",
		Short: "Find lines by a regular expression (RE2)",
		Args:  exactly(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return look(cmd, args[0], asJSON, func(ctx context.Context, b knowledge.Source) (*knowledge.Grepped, error) {
				return b.Grep(ctx, args[1], o)
			})
		},
	}
	fs := cmd.Flags()
	fs.StringVar(&o.Under, "under", "", "only below this id")
	fs.BoolVarP(&o.IgnoreCase, "ignore-case", "i", false, "take small and capital letters for the same")
	fs.IntVarP(&o.Max, "limit", "n", 0, "lines (default 50)")
	fs.BoolVar(&asJSON, "json", false, "print one JSON object")
	withMore(cmd)
	return cmd
}

func newCheck() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "check BUNDLE...",
		Short: "Check bundles against the format; exit code 1 when one does not conform",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			problems := []knowledge.Problem{}
			for _, dir := range args {
				found, err := check(cmd.Context(), dir)
				if err != nil {
					return err
				}
				for _, p := range found {
					if len(args) > 1 {
						p.File = filepath.Join(dir, p.File)
					}
					problems = append(problems, p)
				}
			}
			var err error
			if asJSON {
				err = encoder(cmd.OutOrStdout()).Encode(problems)
			}
			bad := false
			for _, p := range problems {
				bad = bad || !p.Warning
				if !asJSON && err == nil {
					_, err = fmt.Fprintln(cmd.OutOrStdout(), show.Clean(p.String()))
				}
			}
			if err == nil && bad {
				err = &exit{code: exitFailed}
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print a list of JSON objects")
	return cmd
}

func check(ctx context.Context, dir string) ([]knowledge.Problem, error) {
	b, err := knowledge.Open(ctx, dir, knowledge.Options{})
	if err != nil {
		return nil, badInput(err)
	}
	defer b.Close()
	return b.Validate(ctx)
}

// withMore lets a command look into several bundles as one.
func withMore(cmd *cobra.Command) {
	cmd.Flags().StringArray("with", nil, "folder of another bundle, as one with the first: ids begin with the folder's name; may be given again")
}
