// Package dab reads tasks in the layout of the Data Agent Benchmark: folders
// query_<dataset> with the databases, and a folder for each question with the
// right answer and a program that judges answers. The agent is given the
// databases, which this process opens, and never a path or a file.
package dab

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v3"

	"github.com/strandsgo/strands/bench/twin/suite"
	"github.com/strandsgo/strands/codeagent"
	"github.com/strandsgo/strands/data"
	"github.com/strandsgo/strands/python"
)

// Options say where servers are, and what the model is told.
type Options struct {
	Postgres string // address of a server with the databases; "" = there is none
	Mongo    string // likewise
	Hints    bool   // the hints about the data are given to the model, too
	// Interpreter runs the programs that judge answers, in sessions of their
	// own.
	Interpreter python.Interpreter
}

// client is a database of a dataset, as db_config.yaml describes it.
type client struct {
	Type string `yaml:"db_type"`
	Path string `yaml:"db_path"` // of a file
	Name string `yaml:"db_name"` // in a server
}

// Open reads a checkout. Sets of which a database is not here are skipped,
// and named with the reason; a task that lacks a file is an error.
func Open(ctx context.Context, dir string, o Options) (_ *suite.Suite, err error) {
	s := &suite.Suite{Name: filepath.Base(dir)}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	folders, err := filepath.Glob(filepath.Join(dir, "query_*"))
	if err != nil {
		return nil, err
	}
	if len(folders) == 0 {
		return nil, errors.New("it has no folders called query_*; give a checkout of the Data Agent Benchmark, or data or catalogue")
	}
	for _, folder := range folders {
		set, why, err := openSet(ctx, folder, o)
		name := strings.TrimPrefix(filepath.Base(folder), "query_")
		switch {
		case err != nil:
			return nil, fmt.Errorf("dataset %s: %w", name, err)
		case why != "":
			s.Skipped = append(s.Skipped, suite.Skipped{Name: name, Why: why})
		default:
			s.Sets = append(s.Sets, set)
		}
	}
	if len(s.Sets) == 0 {
		return nil, fmt.Errorf("no dataset can be run; the first, %s: %s", s.Skipped[0].Name, s.Skipped[0].Why)
	}
	return s, nil
}

// openSet opens a dataset, or says why it is skipped.
func openSet(ctx context.Context, folder string, o Options) (set *suite.Set, skip string, err error) {
	set = &suite.Set{Name: strings.TrimPrefix(filepath.Base(folder), "query_")}
	if set.Tasks, err = tasks(folder, set.Name, o); err != nil {
		return nil, "", err
	}
	raw, err := file(filepath.Join(folder, "db_config.yaml"))
	if err != nil {
		return nil, "", err
	}
	var config struct {
		Clients map[string]client `yaml:"db_clients"`
	}
	if err := yaml.Unmarshal(raw, &config); err != nil {
		return nil, "", fmt.Errorf("db_config.yaml: %w", err)
	}
	if len(config.Clients) == 0 {
		return nil, "", errors.New("db_config.yaml names no database below db_clients")
	}
	addresses := map[string]string{}
	for name, c := range config.Clients {
		if addresses[name], skip, err = c.address(folder, o); skip != "" || err != nil {
			return nil, skip, err
		}
	}
	return set, "", openStores(ctx, set, addresses)
}

func openStores(ctx context.Context, set *suite.Set, addresses map[string]string) (err error) {
	defer func() {
		if err != nil {
			err = errors.Join(err, (&suite.Suite{Sets: []*suite.Set{set}}).Close())
		}
	}()
	set.Toolkits = []codeagent.Toolkit{suite.Frames}
	names := make([]string, 0, len(addresses))
	for name := range addresses {
		names = append(names, name)
	}
	slices.Sort(names) // prompts are the same each time
	var stores []*data.Store
	for _, name := range names {
		store, err := data.Open(ctx, addresses[name], data.Options{Name: name})
		if err != nil {
			return fmt.Errorf("database %s: %w", name, err)
		}
		set.OnClose(store.Close)
		stores = append(stores, store)
		set.Toolkits = append(set.Toolkits, codeagent.ObjectOf(identifier(name), store))
	}
	data.Relate(stores...)
	return nil
}

// address is where a database is, or why it cannot be used here.
func (c client) address(folder string, o Options) (address, skip string, err error) {
	switch c.Type {
	case "sqlite", "duckdb":
		path := filepath.Join(folder, filepath.FromSlash(c.Path))
		if c.Path == "" {
			return "", "", fmt.Errorf("db_config.yaml: a database of the type %s has no db_path", c.Type)
		}
		if c.Type == "duckdb" && !hasDuckDB {
			return "", "it needs DuckDB: run with -tags duckdb and cgo", nil
		}
		why, err := missing(path)
		return c.Type + ":" + path, why, err
	case "postgres", "postgresql":
		return inServer(o.Postgres, "PostgreSQL", "--postgres", c.Name)
	case "mongo", "mongodb":
		return inServer(o.Mongo, "MongoDB", "--mongo", c.Name)
	}
	return "", "", fmt.Errorf("db_config.yaml: db_type %q is not known", c.Type)
}

func inServer(server, kind, flag, name string) (address, skip string, err error) {
	if server == "" {
		return "", "it needs " + kind + ": load its dump into a server and give " + flag, nil
	}
	u, err := url.Parse(server)
	if err != nil || u.Scheme == "" || u.Host == "" {
		return "", "", fmt.Errorf("%s is no address like scheme://user:password@host", flag)
	}
	if name == "" {
		return "", "", errors.New("db_config.yaml: a database of " + kind + " has no db_name")
	}
	u.Path = "/" + name
	return u.String(), "", nil
}

// missing says why a database file cannot be used.
func missing(path string) (string, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return filepath.Base(path) + " is not downloaded", nil
	}
	if err != nil {
		return "", err
	}
	defer f.Close()
	const pointer = "version https://git-lfs"
	head := make([]byte, len(pointer))
	if n, _ := f.Read(head); string(head[:n]) == pointer {
		return filepath.Base(path) + " is not downloaded, only the pointer of Git LFS is there", nil
	}
	return "", nil
}

// tasks reads the questions of a dataset.
func tasks(folder, set string, o Options) ([]suite.Task, error) {
	about, err := file(filepath.Join(folder, "db_description.txt"))
	if err != nil {
		return nil, err
	}
	if o.Hints {
		hints, err := file(filepath.Join(folder, "db_description_withhint.txt"))
		if err != nil {
			return nil, err
		}
		about = append(append(about, "\n\n"...), hints...)
	}
	found, err := filepath.Glob(filepath.Join(folder, "query[0-9]*"))
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, errors.New("it has no folders called query1, query2, …")
	}
	number := func(path string) int {
		n, _ := strconv.Atoi(strings.TrimPrefix(filepath.Base(path), "query")) // others come first
		return n
	}
	slices.SortFunc(found, func(a, b string) int { return cmp.Compare(number(a), number(b)) })
	var all []suite.Task
	for _, dir := range found {
		question, err := question(filepath.Join(dir, "query.json"))
		if err != nil {
			return nil, err
		}
		j := judge{o.Interpreter, dir}
		for _, name := range []string{"validate.py", "ground_truth.csv"} {
			if _, err := file(filepath.Join(dir, name)); err != nil {
				return nil, err
			}
		}
		all = append(all, suite.Task{
			ID: set + "/" + strings.TrimPrefix(filepath.Base(dir), "query"), Set: set, Check: j.check,
			Question: question + "\n\nAbout the data:\n" + strings.TrimSpace(string(about)),
		})
	}
	return all, nil
}

// question reads query.json: a string, or an object with a query.
func question(path string) (string, error) {
	raw, err := file(path)
	if err != nil {
		return "", err
	}
	var text string
	if json.Unmarshal(raw, &text) == nil && text != "" {
		return text, nil
	}
	var object struct {
		Query string `json:"query"`
	}
	if err := json.Unmarshal(raw, &object); err != nil || object.Query == "" {
		return "", fmt.Errorf("%s: it is neither a string nor an object with a query", short(path))
	}
	return object.Query, nil
}

// file reads a file that must be there.
func file(path string) ([]byte, error) {
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s is missing", short(path))
	}
	return raw, err
}

// short is a path with one folder.
func short(path string) string {
	return filepath.Join(filepath.Base(filepath.Dir(path)), filepath.Base(path))
}

// identifier is s as a name in Python.
func identifier(s string) string {
	s = strings.Map(func(r rune) rune {
		if r == '_' || r < unicode.MaxASCII && (unicode.IsLetter(r) || unicode.IsDigit(r)) {
			return r
		}
		return '_'
	}, s)
	if s == "" || unicode.IsDigit(rune(s[0])) {
		return "db_" + s
	}
	return s
}
