package python

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/strandsgo/strands"
)

// Directory is a strands.ToolProvider whose tools are Python functions: files
// as they are written for the Strands SDK, with @tool or a TOOL_SPEC, run in a
// session of their own. The zero value offers the files of ./tools.
//
// A file that changes, appears or goes is noticed when a run begins, and a
// change of a tool's own file also when it is called. What a file imports from
// its folder counts as part of it. A version that cannot be loaded is reported
// (to the log, and by Err) and the one before stays in use.
//
// The files are code of the program's user, not of the model: they may import
// whatever Requirements installs, but in a Sandboxed session there is neither
// network nor environment nor file system of the host. Files whose names begin
// with "_" are for the others to import. What a module keeps in variables is
// kept from call to call, for all sessions of the agent together; a call that
// had to be killed loses it. Calls run one after the other.
//
// It is safe for concurrent use. Do not change the fields once it is in use.
type Directory struct {
	Path string // the folder; "" = "tools", or none when Load is set
	// Load names more: a file ("lib/search.py"), a module ("pkg.mod") or one
	// function of it ("pkg.mod:func"). What is not a file is looked for in Root
	// and then among what Requirements installs. Unlike a file of the folder,
	// one that was never loaded successfully is an error of every run.
	Load []string
	Root string // where relative names of Load begin; "" = the working folder

	Interpreter  Interpreter // nil = a Sandboxed of its own; one given here is not closed by Close
	Requirements []string    // what pip would install; never read from the files
	Limits       Limits
	LoadTimeout  time.Duration // to import a file; 0 = 30 s
	Timeout      time.Duration // of a call; 0 = 180 s; negative = none
	Logger       *slog.Logger  // nil = slog.Default()

	once sync.Once
	turn chan struct{} // whoever takes it uses the session, and may load
	host *directoryHost

	// Used in one's turn.
	session Session
	own     *Sandboxed
	version int

	mu     sync.Mutex
	closed bool
	loaded bool // there was a look before
	roots  map[string]*root
	items  []*item // in the order of their tools
	tools  []strands.Tool
	errs   []error // of items, and of names that are taken
}

// LoadError is a tool file that cannot be used as it is now.
type LoadError struct {
	Path      string // as it was configured, or found in the folder
	Reason    string // one line or a few: "SyntaxError: …"
	Traceback string // of Python, when an exception was raised; "" otherwise
	Kept      bool   // a version from before is still in use
}

// Error implements error.
func (e *LoadError) Error() string {
	text := fmt.Sprintf("python: loading tools from %s: %s", e.Path, e.Reason)
	if e.Kept {
		text += " (the version before stays in use)"
	}
	return text
}

var _ strands.ToolProvider = (*Directory)(nil)

func (d *Directory) init() {
	d.once.Do(func() {
		d.turn = make(chan struct{}, 1)
		d.turn <- struct{}{}
		d.host = new(directoryHost)
		d.roots = map[string]*root{}
	})
}

// Tools implements strands.ToolProvider: it looks at the files and loads what
// is new. When nothing has changed it does not wait for a call under way.
func (d *Directory) Tools(ctx context.Context) ([]strands.Tool, error) {
	d.init()
	if tools, ok, err := d.unchanged(); ok || err != nil {
		return tools, err
	}
	release, err := d.take(ctx)
	if err != nil {
		return nil, err
	}
	defer release()
	if err := d.look(); err != nil {
		return nil, err
	}
	for _, it := range d.staleItems() {
		if err := d.load(ctx, it); err != nil {
			return nil, err
		}
	}
	return d.publish()
}

// Err returns what could not be loaded when the files were last looked at: one
// *LoadError each, joined; nil when all is well.
func (d *Directory) Err() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return errors.Join(d.errs...)
}

// Close ends the session. It waits for no call: one under way fails.
func (d *Directory) Close() error {
	d.init()
	d.mu.Lock()
	if d.closed {
		d.mu.Unlock()
		return nil
	}
	d.closed = true
	session, own := d.session, d.own
	d.mu.Unlock()
	var errs []error
	if session != nil {
		errs = append(errs, session.Close())
	}
	if own != nil {
		errs = append(errs, own.Close())
	}
	return errors.Join(errs...)
}

// take waits for one's turn.
func (d *Directory) take(ctx context.Context) (release func(), err error) {
	select {
	case <-d.turn:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	d.mu.Lock()
	closed := d.closed
	d.mu.Unlock()
	if closed {
		d.turn <- struct{}{}
		return nil, strands.ErrClosed
	}
	return func() { d.turn <- struct{}{} }, nil
}

func (d *Directory) log() *slog.Logger {
	if d.Logger != nil {
		return d.Logger
	}
	return slog.Default()
}

// unchanged returns the tools when a look at the files shows nothing new.
func (d *Directory) unchanged() ([]strands.Tool, bool, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return nil, false, strands.ErrClosed
	}
	if !d.loaded {
		return nil, false, nil
	}
	found, err := d.find()
	if err != nil || !slices.Equal(keysOf(found), keysOf(d.items)) {
		return nil, false, nil
	}
	for _, it := range d.items {
		if it.stale() {
			return nil, false, nil
		}
	}
	return slices.Clone(d.tools), true, nil
}

// look brings the list of items up to date; nothing is loaded.
func (d *Directory) look() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	found, err := d.find()
	if err != nil {
		return err
	}
	for i, it := range found {
		if at := slices.IndexFunc(d.items, func(old *item) bool { return old.key == it.key }); at >= 0 {
			found[i] = d.items[at]
		}
	}
	d.items, d.loaded = found, true
	return nil
}

// staleItems returns what must be loaded. An item that fails is not stale
// until something changes.
func (d *Directory) staleItems() []*item {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(d.items), func(it *item) bool { return !it.stale() })
}

// publish makes the list of tools. A name belongs to the first item that has
// it; names that differ by '-' and '_' only are one, as for an agent.
func (d *Directory) publish() ([]strands.Tool, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	before := d.errs
	d.tools, d.errs = nil, nil
	owners := map[string]*item{}
	var fatal error
	for _, it := range d.items {
		if it.err != nil {
			d.errs = append(d.errs, it.err)
			if it.listed && it.tools == nil && fatal == nil {
				fatal = it.err
			}
		}
		for _, t := range it.tools {
			name := strings.ReplaceAll(t.function().spec.Name, "-", "_")
			switch owner := owners[name]; {
			case owner == nil:
				owners[name] = it
				d.tools = append(d.tools, t)
			case !d.imported(t.function(), it):
				d.errs = append(d.errs, &LoadError{Path: it.key, Reason: fmt.Sprintf(
					"the name %q is taken by %s; rename one of the tools", t.function().spec.Name, owner.key)})
			}
		}
	}
	for _, err := range d.errs {
		if !slices.ContainsFunc(before, func(old error) bool { return old.Error() == err.Error() }) {
			d.log().Warn("a tool file cannot be used", "error", err)
		}
	}
	return slices.Clone(d.tools), fatal
}

// imported says whether a tool of it comes from another file of the folder,
// which offers it itself.
func (d *Directory) imported(t *fileTool, it *item) bool {
	return t.from != it.module && slices.ContainsFunc(d.items, func(o *item) bool {
		return o.root == it.root && o.module == t.from
	})
}

// open returns the session, opening it the first time. It is one's turn.
func (d *Directory) open(ctx context.Context) (Session, error) {
	if d.session != nil {
		return d.session, nil
	}
	interpreter := d.Interpreter
	if interpreter == nil {
		d.own = cmp.Or(d.own, &Sandboxed{Logger: d.Logger})
		interpreter = d.own
	}
	s, err := interpreter.Open(ctx, Options{
		Libraries:    []string{"*"},
		Requirements: d.Requirements, Limits: d.Limits, Timeout: d.Timeout, NoFigures: true,
		Modules:            []Module{sdkModule()},
		Namespaces:         []Namespace{{Functions: []strands.Tool{d.host}}},
		InitializationCode: []string{"from strands._serve import serve as _strands_serve"},
	})
	if err != nil {
		return nil, fmt.Errorf("python: opening the session of the tools: %w", err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return nil, errors.Join(strands.ErrClosed, s.Close())
	}
	d.session = s
	return s, nil
}

// folder is Path with its default; "" = none.
func (d *Directory) folder() string {
	if d.Path == "" && len(d.Load) == 0 {
		return "tools"
	}
	return d.Path
}

func (d *Directory) base() (string, error) {
	base, err := filepath.Abs(d.Root)
	if err != nil {
		return "", fmt.Errorf("python: finding the folder of tools: %w", err)
	}
	return base, nil
}
