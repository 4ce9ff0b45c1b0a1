package command

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/strandsgo/strands/cmd/codeagent/internal/show"
	"github.com/strandsgo/strands/knowledge"
	"github.com/strandsgo/strands/knowledge/markup"
	"github.com/strandsgo/strands/knowledge/pdf"
)

// buildFlags are those of okf build.
type buildFlags struct {
	pdf          pdf.Options
	split        int
	passwordFile string
	typeNames    []string
	json         bool
}

func newBuild() *cobra.Command {
	var f buildFlags
	cmd := &cobra.Command{
		Use:   "build SOURCE BUNDLE",
		Short: "Make a bundle of a PDF document, a folder of Markdown or HTML, or one such file",
		Long: "Make the folder BUNDLE: of a PDF document one concept for each bookmark, of a folder one for each Markdown or HTML\n" +
			"file and each section of long ones. It appears when it is complete; when nothing has changed, nothing is done, and a\n" +
			"conversion that was stopped goes on. A PDF document is read in a process of its own, which is ended when it takes too\n" +
			"much time or memory.",
		Example: "  codeagent okf build guide.pdf guide/\n  codeagent okf build --type-names Chapter,Section,Topic --workers 4 guide.pdf guide/\n  codeagent okf build wiki/ wiki-bundle/",
		Args:    exactly(2),
		RunE:    func(cmd *cobra.Command, args []string) error { return f.run(cmd, args[0], args[1]) },
	}
	fs := cmd.Flags()
	fs.StringVar(&f.pdf.Title, "title", "", "of the document (default: what it says)")
	fs.StringVar(&f.pdf.Resource, "resource", "", "URI of the source, for the concepts (default: its name)")
	fs.BoolVar(&f.pdf.Force, "force", false, "build although nothing has changed")
	fs.BoolVar(&f.json, "json", false, "print one JSON object")
	fs.StringVar(&f.passwordFile, "password-file", "", "PDF: file that holds the document's password")
	fs.IntVar(&f.pdf.MaxLevels, "max-levels", 0, "PDF: of bookmarks that become concepts (default: all)")
	fs.IntVar(&f.pdf.MaxChars, "max-chars", 0, "PDF: of a concept (default: all)")
	fs.IntVar(&f.pdf.MaxPages, "max-pages", 0, "PDF: of a concept (default: all)")
	fs.StringSliceVar(&f.typeNames, "type-names", nil, "PDF: types of the concepts by level (default Service,Topic,Section); deeper ones have the last")
	fs.IntVar(&f.pdf.Workers, "workers", 0, "PDF: pages to read at once (default: one for each processor, at most 4)")
	fs.IntVar(&f.split, "split", 0, "folder: bytes above which the sections of a file become concepts (default 12000; -1 = never)")
	return cmd
}

func (f *buildFlags) check() error {
	for name, n := range map[string]int{"max-levels": f.pdf.MaxLevels, "max-chars": f.pdf.MaxChars, "max-pages": f.pdf.MaxPages, "workers": f.pdf.Workers} {
		if n < 0 {
			return usagef("--%s %d: give a number above zero", name, n)
		}
	}
	for i, name := range f.typeNames {
		if strings.TrimSpace(name) == "" {
			return usagef("--type-names: name %d is empty", i+1)
		}
	}
	return nil
}

func (f *buildFlags) run(cmd *cobra.Command, src, dst string) error {
	if err := f.check(); err != nil {
		return err
	}
	info, err := os.Stat(src)
	if err != nil {
		return badInput(err)
	}
	var report any
	var text string
	if ext := strings.ToLower(filepath.Ext(src)); info.IsDir() || ext == ".md" || ext == ".markdown" || ext == ".html" || ext == ".htm" {
		report, text, err = f.folder(cmd, src, dst)
	} else {
		report, text, err = f.document(cmd, src, dst)
	}
	if err != nil {
		return badInput(err)
	}
	if b, err := knowledge.Open(cmd.Context(), dst, knowledge.Options{}); err == nil {
		b.Close() // the first look finds an index
	}
	if f.json {
		return encoder(cmd.OutOrStdout()).Encode(report)
	}
	_, err = io.WriteString(cmd.OutOrStdout(), text)
	return err
}

func (f *buildFlags) folder(cmd *cobra.Command, src, dst string) (any, string, error) {
	r, err := markup.Convert(cmd.Context(), src, dst, markup.Options{Title: f.pdf.Title, Resource: f.pdf.Resource, Split: f.split, Force: f.pdf.Force})
	if err != nil {
		return nil, "", err
	}
	return r, summary(dst, r.Unchanged, fmt.Sprintf("%d concepts, %d files, %d of %d words kept", r.Concepts, r.Files, r.WordsKept, r.WordsIn), r.Problems), nil
}

func (f *buildFlags) document(cmd *cobra.Command, src, dst string) (any, string, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, "", fmt.Errorf("finding this program: %w", err)
	}
	o := f.pdf
	if f.passwordFile != "" {
		b, err := os.ReadFile(f.passwordFile)
		if err != nil {
			return nil, "", usagef("--password-file: %w", err)
		}
		o.Password = strings.TrimRight(string(b), "\r\n")
	}
	for i, name := range f.typeNames {
		if o.TypeNames == nil {
			o.TypeNames = map[int]string{}
		}
		o.TypeNames[i+1] = strings.TrimSpace(name)
	}
	o.Worker = []string{exe, "okf", "build-worker"}
	bar := &progressBar{out: cmd.ErrOrStderr()}
	_, bar.live = isTerminal(bar.out)
	o.Progress = bar.show
	r, err := pdf.Convert(cmd.Context(), src, dst, o)
	bar.end()
	if err != nil {
		return nil, "", err
	}
	counts := strconv.Itoa(r.Concepts) + fmt.Sprintf(" concepts, %d pages, %d of %d words kept", r.Pages, r.WordsKept, r.WordsIn)
	return r, summary(dst, r.Unchanged, counts, r.Problems), nil
}

func summary(dir string, unchanged bool, counts string, problems []string) string {
	state := "made"
	if unchanged {
		state = "is up to date"
	}
	lines := append([]string{fmt.Sprintf("%s %s: %s", dir, state, counts)}, problems...)
	for i := range lines {
		lines[i] = show.Clean(lines[i])
	}
	return strings.Join(lines, "\n") + "\n"
}
