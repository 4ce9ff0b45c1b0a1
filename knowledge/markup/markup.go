// Package markup makes knowledge bundles of Markdown and HTML: of a folder, a
// wiki's or a manual's, or of a single file.
package markup

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/html/charset"

	"github.com/strandsgo/strands/knowledge/internal/bundle"
)

// Version names the converter in what it makes. A change of its output
// changes it, so that bundles are made anew.
const Version = "strands-go/markup-1"

// Options say how a folder is converted. The zero value drops nothing.
type Options struct {
	Title    string // of the bundle; "" = the folder's or the file's name
	Resource string // URI of the source, to which file names are appended; "" = the file's name below the source
	Split    int    // bytes above which a file's sections become concepts of their own; 0 = 12,000; negative = never
	MaxFile  int64  // bytes above which a file is left out and reported; 0 = 16 MiB
	Force    bool   // convert although nothing has changed
}

// Report says what a conversion did.
type Report struct {
	Concepts  int      `json:"concepts"`
	Files     int      `json:"files"`
	WordsIn   int      `json:"wordsIn"`             // in the text of the files
	WordsKept int      `json:"wordsKept"`           // in the bodies of the concepts
	Unchanged bool     `json:"unchanged,omitempty"` // the bundle was there already
	Problems  []string `json:"problems"`            // files that were left out, and why
}

// Error says what is wrong with a source.
type Error struct {
	Source string
	Reason string
}

// Error implements error.
func (e *Error) Error() string { return e.Source + ": " + e.Reason }

const maxFiles = 100_000

// Convert makes the bundle dst, a folder, of the files src/**.md, .markdown,
// .html and .htm, or of the one file src. Frontmatter of Markdown files is
// kept; links between the files go on working. Hidden files and symbolic links
// are left out. The folder appears when it is complete, or not at all; one
// that an earlier conversion made is replaced, any other is an error. When the
// source and the options are those it was made with, nothing is done.
func Convert(ctx context.Context, src, dst string, o Options) (*Report, error) {
	o.Split, o.MaxFile = cmp.Or(o.Split, 12_000), cmp.Or(o.MaxFile, 16<<20)
	root, names, err := sources(src)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	c := &converter{root: root, o: o, report: &Report{Problems: []string{}}}
	c.title = cmp.Or(o.Title, strings.TrimSuffix(filepath.Base(filepath.Clean(src)), filepath.Ext(src)))
	sum, err := c.read(ctx, src, names)
	if err != nil {
		return nil, err
	}
	mark := &bundle.Manifest{Source: sum, Options: fmt.Sprintf("%q %q %d %d", o.Title, o.Resource, o.Split, o.MaxFile), Converter: Version}
	old, err := bundle.ReadManifest(dst)
	if err != nil {
		return nil, err
	}
	report := &Report{}
	if !o.Force && old.Same(mark) && json.Unmarshal(old.Report, report) == nil {
		report.Unchanged = true
		return report, nil
	}
	return bundle.Stage(dst, mark, func(error) bool { return false }, func(tmp string) (*Report, error) {
		return c.report, c.write(ctx, tmp)
	})
}

var kinds = map[string]bool{".md": true, ".markdown": true, ".html": true, ".htm": true}

// sources lists the files to convert, sorted, below the root they are in.
func sources(src string) (*os.Root, []string, error) {
	info, err := os.Stat(src)
	if err != nil {
		return nil, nil, fmt.Errorf("converting: %w", err)
	}
	dir, only := src, ""
	if !info.IsDir() {
		dir, only = filepath.Split(src)
		if !kinds[strings.ToLower(filepath.Ext(src))] {
			return nil, nil, &Error{src, "it is no Markdown or HTML file, by its name"}
		}
	}
	root, err := os.OpenRoot(cmp.Or(dir, "."))
	if err != nil {
		return nil, nil, fmt.Errorf("converting: %w", err)
	}
	if only != "" {
		return root, []string{only}, nil
	}
	var names []string
	err = fs.WalkDir(root.FS(), ".", func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && p != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "node_modules"):
			return fs.SkipDir
		case d.Type().IsRegular() && kinds[strings.ToLower(path.Ext(p))] && !strings.HasPrefix(d.Name(), "."):
			if names = append(names, p); len(names) > maxFiles {
				return &Error{src, fmt.Sprintf("it has more than %d files", maxFiles)}
			}
		}
		return nil
	})
	if err == nil && len(names) == 0 {
		err = &Error{src, "there are no Markdown or HTML files in it"}
	}
	if err != nil {
		root.Close()
		return nil, nil, err
	}
	slices.Sort(names)
	return root, names, nil
}

// converter holds the documents on their way.
type converter struct {
	root   *os.Root
	o      Options
	title  string
	docs   []*document
	report *Report
}

// read parses all files and returns a hash of them.
func (c *converter) read(ctx context.Context, src string, names []string) (string, error) {
	all := sha256.New()
	for _, name := range names {
		if err := ctx.Err(); err != nil {
			return "", err
		}
		data, err := c.file(name)
		if err != nil {
			c.report.Problems = append(c.report.Problems, name+": "+err.Error())
			continue
		}
		sum := sha256.Sum256(data)
		fmt.Fprintf(all, "%q %x\n", name, sum)
		d, err := parse(name, data)
		if err != nil {
			c.report.Problems = append(c.report.Problems, name+": "+err.Error())
			continue
		}
		c.report.WordsIn += countWords(d.body)
		c.docs = append(c.docs, d)
	}
	if len(c.docs) == 0 {
		return "", &Error{src, "none of its files can be read: " + strings.Join(c.report.Problems, "; ")}
	}
	c.report.Files = len(c.docs)
	return hex.EncodeToString(all.Sum(nil)), nil
}

func (c *converter) file(name string) ([]byte, error) {
	f, err := c.root.Open(filepath.FromSlash(name))
	if err != nil {
		if p, ok := errors.AsType[*fs.PathError](err); ok {
			err = p.Err
		}
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, c.o.MaxFile+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > c.o.MaxFile {
		return nil, fmt.Errorf("it has more than %d bytes", c.o.MaxFile)
	}
	return utf8Text(data), nil
}

// utf8Text is a text in UTF-8. Others say what they are by their first bytes or
// in a <meta>, or are taken for Windows-1252.
func utf8Text(data []byte) []byte {
	if utf8.Valid(data) {
		return data
	}
	encoding, _, _ := charset.DetermineEncoding(data, "")
	if text, err := encoding.NewDecoder().Bytes(data); err == nil {
		data = text
	}
	return bytes.ToValidUTF8(data, []byte("\ufffd"))
}
