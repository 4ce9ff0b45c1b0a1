package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// protocol is what runs must have in common to be compared.
type protocol struct {
	Model    string  `json:"model"`
	Suite    string  `json:"suite"`
	Seed     uint64  `json:"seed"`
	Scale    float64 `json:"scale"`
	Hints    bool    `json:"hints,omitempty"`
	MaxTurns int     `json:"maxTurns"`
	Timeout  string  `json:"timeout"`
}

// results is a file of runs, JSON lines after one with the protocol. Each run
// is appended when it is finished.
type results struct {
	file *os.File // nil = results are not kept
	rows []Row    // measured ones that were there already, and those added
}

// openResults opens the file, and reads what is there.
func openResults(path string, p protocol) (*results, error) {
	if path == "" {
		return new(results), nil
	}
	raw, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	r := new(results)
	whole := bytes.LastIndexByte(raw, '\n') + 1 // a line that was being written is dropped
	if err := r.read(path, raw[:whole], p); err != nil {
		return nil, err
	}
	if r.file, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644); err != nil {
		return nil, err
	}
	if err := errors.Join(r.file.Truncate(int64(whole)), second(r.file.Seek(int64(whole), 0))); err != nil {
		return nil, errors.Join(err, r.file.Close())
	}
	if whole == 0 {
		err = r.append(p)
	}
	return r, err
}

func second[T any](_ T, err error) error { return err }

func (r *results) read(path string, raw []byte, p protocol) error {
	n := 0
	for line := range bytes.Lines(raw) {
		n++
		if n == 1 {
			var was protocol
			if err := json.Unmarshal(line, &was); err != nil || was.Suite == "" {
				return fmt.Errorf("%s has no results of this program; name another file", path)
			}
			if was != p {
				return fmt.Errorf("%s has results of another measurement (%+v); name another file, or measure the same", path, was)
			}
			continue
		}
		var row Row
		if err := json.Unmarshal(line, &row); err != nil {
			return fmt.Errorf("%s, line %d: %w", path, n, err)
		}
		if row.Failed == "" {
			r.rows = append(r.rows, row)
		}
	}
	return nil
}

// add keeps a run.
func (r *results) add(row Row) error {
	r.rows = append(r.rows, row)
	return r.append(row)
}

func (r *results) append(v any) error {
	if r.file == nil {
		return nil
	}
	raw, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if _, err := r.file.Write(append(raw, '\n')); err != nil {
		return fmt.Errorf("keeping a result: %w", err)
	}
	return nil
}

func (r *results) close() error {
	if r.file == nil {
		return nil
	}
	return r.file.Close()
}
