// Package artifact keeps the pictures and files that runs leave behind: in a
// folder, or in S3 (package artifact/s3), with links that the program writes
// and no model has to repeat.
package artifact

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/strandsgo/strands"
)

// Store is a place for artifacts. It is safe for concurrent use.
//
// Put keeps data, of a.Size bytes, under a.Name for the run of that id, and
// returns a with where it is: Path, or Key, URL and Expires. The same run and
// name again replace what was there; another run never does. data is read from
// its present position; it may be read several times.
type Store interface {
	Put(ctx context.Context, run string, a strands.Artifact, data io.ReadSeeker) (strands.Artifact, error)
}

// Keeper gives what runs leave behind to a Store, lists it in
// Result.Artifacts, and appends one section with the links to the answer. It
// may serve several agents. Its fields must not change after its first use.
//
// An agent of package codeagent takes it as Config.Artifacts. What is kept
// comes from Keep; Hooks tell it when a run ends.
type Keeper struct {
	// Store; nil = Local.
	Store Store
	// Local takes what Store fails to take: nothing is lost, and a warning is
	// logged. nil = the Directory "artifacts".
	Local Store
	// NoSection leaves the answer as the model wrote it.
	NoSection bool
	Section   func([]strands.Artifact) string // writes the section; nil = Section
	Logger    *slog.Logger                    // nil = slog.Default()

	mu   sync.Mutex
	runs map[*strands.Session]*run
}

// run is what a run has left behind so far.
type run struct {
	id      string
	mu      sync.Mutex // one upload of a run at a time
	figures int
	list    []strands.Artifact
}

// inMemory is up to where an artifact is held in memory while it is stored.
const inMemory = 8 << 20

// Keep stores data as the artifact a, of which Name and MIME are set; a
// picture has the Name "" and is numbered. Of a name that comes again in a run
// the last version is kept. The error is that of reading data, or of Store and
// Local both.
func (k *Keeper) Keep(ctx context.Context, s *strands.Session, a strands.Artifact, data io.Reader) error {
	body, err := spool(data)
	if err != nil {
		return fmt.Errorf("artifact: reading %s: %w", cmp.Or(a.Name, "a picture"), err)
	}
	defer body.Close()
	a.Size = body.size
	r := k.run(s)
	r.mu.Lock()
	defer r.mu.Unlock()
	if a.Name == "" {
		a.Figure = r.figures + 1
		a.Name = r.freeName(fmt.Sprintf("figure-%d", a.Figure), extension(a.MIME))
	}
	kept, err := k.put(ctx, r.id, a, body)
	if err != nil {
		return err
	}
	if a.Figure > 0 {
		r.figures = a.Figure
	}
	for i, old := range r.list {
		if old.Name == kept.Name {
			r.list[i] = kept
			return nil
		}
	}
	r.list = append(r.list, kept)
	return nil
}

// put tries Store, then Local.
func (k *Keeper) put(ctx context.Context, run string, a strands.Artifact, body *body) (strands.Artifact, error) {
	local := k.Local
	if local == nil {
		local = &Directory{Dir: "artifacts"}
	}
	if k.Store == nil {
		return local.Put(ctx, run, a, body)
	}
	kept, err := k.Store.Put(ctx, run, a, body)
	if err == nil {
		return kept, nil
	}
	if _, again := body.Seek(0, io.SeekStart); again != nil {
		return a, errors.Join(err, again)
	}
	// A run that was stopped has no time left for an upload, but for a disk.
	kept, localErr := local.Put(context.WithoutCancel(ctx), run, a, body)
	if localErr != nil {
		return a, fmt.Errorf("artifact: %s could be stored nowhere: %w", a.Name, errors.Join(err, localErr))
	}
	k.logger().WarnContext(ctx, "artifact: stored on this machine instead", "name", a.Name, "path", kept.Path, "error", err)
	return kept, nil
}

func (k *Keeper) logger() *slog.Logger {
	if k.Logger == nil {
		return slog.Default()
	}
	return k.Logger
}

func (k *Keeper) run(s *strands.Session) *run {
	k.mu.Lock()
	defer k.mu.Unlock()
	r := k.runs[s]
	if r == nil {
		if k.runs == nil {
			k.runs = map[*strands.Session]*run{}
		}
		r = &run{id: newRunID()}
		k.runs[s] = r
	}
	return r
}

// newRunID sorts by time and is the only one of its name.
func newRunID() string {
	var b [6]byte
	rand.Read(b[:]) // never fails
	return time.Now().UTC().Format("20060102-150405") + "-" + hex.EncodeToString(b[:])
}

// freeName is stem with ext, or with a number when a file is called so.
func (r *run) freeName(stem, ext string) string {
	name := stem + ext
	for n := 2; ; n++ {
		taken := false
		for _, a := range r.list {
			taken = taken || a.Name == name
		}
		if !taken {
			return name
		}
		name = fmt.Sprintf("%s-%d%s", stem, n, ext)
	}
}

func extension(mime string) string {
	switch _, sub, _ := strings.Cut(mime, "/"); sub {
	case "png", "jpeg", "gif", "webp":
		return "." + sub
	case "svg+xml":
		return ".svg"
	}
	return ".png"
}

// Hooks are to be registered with the agent whose runs are kept.
func (k *Keeper) Hooks() strands.Hooks {
	return strands.Hooks{AfterInvocation: k.afterInvocation}
}

// afterInvocation lists what there is. While a run waits for a person it goes
// on, and the section comes at its end.
func (k *Keeper) afterInvocation(ctx context.Context, e *strands.AfterInvocation) error {
	k.mu.Lock()
	r := k.runs[e.Session]
	waits := e.Result != nil && e.Result.StopReason == strands.StopInterrupt
	if !waits {
		delete(k.runs, e.Session)
	}
	k.mu.Unlock()
	if r == nil || e.Result == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	e.Result.Artifacts = append(e.Result.Artifacts[:len(e.Result.Artifacts):len(e.Result.Artifacts)], r.list...)
	if waits || k.NoSection || len(r.list) == 0 {
		return nil
	}
	write := k.Section
	if write == nil {
		write = Section
	}
	said := e.Result.Message.Text()
	ended := len(said) - len(strings.TrimRight(said, "\n")) // with line ends of its own
	text := strings.Repeat("\n", max(0, 2-ended)) + write(r.list)
	// Not the history's message: a model that reads links repeats them, and
	// not always all of them.
	m := e.Result.Message
	m.Parts = append(m.Parts[:len(m.Parts):len(m.Parts)], strands.Text(text))
	e.Result.Message = m
	if err := strands.Emit(ctx, strands.Event{Delta: &strands.Delta{Text: text}}); err != nil && ctx.Err() == nil {
		return fmt.Errorf("artifact: showing the links: %w", err)
	}
	return nil
}

// Section lists artifacts in Markdown: pictures first, by their numbers, each
// with its link and how long that is good for.
func Section(list []strands.Artifact) string {
	var pictures, files strings.Builder
	for _, a := range list {
		b, what := &files, "- "
		if a.Figure > 0 {
			b, what = &pictures, fmt.Sprintf("- Figure %d: ", a.Figure)
		}
		b.WriteString(what)
		switch {
		case a.URL != "" && !a.Expires.IsZero():
			fmt.Fprintf(b, "[%s](<%s>), valid until %s UTC\n", label(a.Name), a.URL, a.Expires.UTC().Format("2006-01-02 15:04:05"))
		case a.URL != "":
			fmt.Fprintf(b, "[%s](<%s>)\n", label(a.Name), a.URL)
		default:
			fmt.Fprintf(b, "%s in %s\n", label(a.Name), cmp.Or(a.Path, a.Key))
		}
	}
	return "**Pictures and files**\n" + pictures.String() + files.String()
}

// label is a name that code chose, as text of a link.
func label(name string) string {
	return strings.NewReplacer("[", "(", "]", ")", "\n", " ", "<", "(", ">", ")", "`", "'").Replace(path.Clean(name))
}

// body is data that can be read again.
type body struct {
	io.ReadSeeker
	size int64
	file *os.File
}

// spool reads data into memory, or into a temporary file when it is long.
func spool(data io.Reader) (*body, error) {
	var head bytes.Buffer
	n, err := io.CopyN(&head, data, inMemory)
	if err == io.EOF {
		return &body{ReadSeeker: bytes.NewReader(head.Bytes()), size: n}, nil
	}
	if err != nil {
		return nil, err
	}
	f, err := os.CreateTemp("", "strands-artifact-")
	if err != nil {
		return nil, err
	}
	b := &body{ReadSeeker: f, file: f}
	if b.size, err = io.Copy(f, io.MultiReader(&head, data)); err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		return nil, errors.Join(err, b.Close())
	}
	return b, nil
}

func (b *body) Close() error {
	if b.file == nil {
		return nil
	}
	return errors.Join(b.file.Close(), os.Remove(b.file.Name()))
}
