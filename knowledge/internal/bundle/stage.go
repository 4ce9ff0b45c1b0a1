package bundle

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/gofrs/flock"
)

const (
	manifestName = ".okf-manifest.json"
	lockName     = ".lock"
	spoolName    = ".spool"
)

// Manifest is left in a bundle to know it again.
type Manifest struct {
	Source    string          `json:"source"` // hash of what it was made of
	Options   string          `json:"options"`
	Converter string          `json:"converter"`
	Report    json.RawMessage `json:"report"`
}

// ReadManifest returns that of the bundle dst; nil when there is nothing at
// dst. A folder that no conversion made is an error.
func ReadManifest(dst string) (*Manifest, error) {
	data, err := os.ReadFile(filepath.Join(dst, manifestName))
	if errors.Is(err, os.ErrNotExist) {
		entries, dirErr := os.ReadDir(dst)
		if errors.Is(dirErr, os.ErrNotExist) || dirErr == nil && len(entries) == 0 {
			return nil, nil
		}
		return nil, fmt.Errorf("%s is there and was not made by a conversion; name another folder, or remove it", dst)
	}
	if err != nil {
		return nil, err
	}
	var m Manifest
	if json.Unmarshal(data, &m) != nil {
		m = Manifest{} // ours, but of no use: made anew
	}
	return &m, nil
}

// Same says whether m was made of the same source, in the same way.
func (m *Manifest) Same(n *Manifest) bool {
	return m != nil && m.Source == n.Source && m.Options == n.Options && m.Converter == n.Converter
}

var errBusy = errors.New("another conversion to it is under way")

// Stage has make fill a folder beside dst, and moves it there when it is
// whole. After an error nothing is left, except when keep says that what make
// has put into the folder's Spool is worth to be found by the next Stage of
// the same manifest. What killed ones left is used or removed.
func Stage[R any](dst string, m *Manifest, keep func(error) bool, make func(tmp string) (*R, error)) (report *R, err error) {
	dst = filepath.Clean(dst)
	if err := os.MkdirAll(filepath.Dir(dst), 0o755); err != nil {
		return nil, fmt.Errorf("making the bundle: %w", err)
	}
	prefix := filepath.Join(filepath.Dir(dst), "."+filepath.Base(dst)+".making-")
	sum := sha256.Sum256([]byte(m.Source + m.Converter))
	tmp := prefix + hex.EncodeToString(sum[:8])
	sweep(prefix, tmp)
	unlock, err := claim(tmp)
	if err != nil {
		return nil, fmt.Errorf("making the bundle %s: %w", dst, err)
	}
	defer unlock()
	defer func() {
		if err != nil && (!keep(err) || isEmpty(Spool(tmp))) {
			err = errors.Join(err, os.RemoveAll(tmp))
		}
	}()
	if report, err = make(tmp); err != nil {
		return nil, err
	}
	if err = finish(tmp, dst, m, report); err != nil {
		return nil, fmt.Errorf("making the bundle: %w", err)
	}
	return report, nil
}

// Spool is a folder in tmp that is not part of the bundle.
func Spool(tmp string) string { return filepath.Join(tmp, spoolName) }

func isEmpty(dir string) bool {
	entries, err := os.ReadDir(dir)
	return err != nil || len(entries) == 0
}

// claim makes the folder tmp, or takes over what a killed conversion left.
func claim(tmp string) (unlock func(), err error) {
	if err := os.MkdirAll(tmp, 0o755); err != nil {
		return nil, err
	}
	lock := flock.New(filepath.Join(tmp, lockName))
	if ok, err := lock.TryLock(); err != nil || !ok {
		return nil, errors.Join(err, errBusy)
	}
	unlock = func() { _ = lock.Close() }
	entries, err := os.ReadDir(tmp)
	for _, e := range entries {
		if name := e.Name(); err == nil && name != lockName && name != spoolName {
			err = os.RemoveAll(filepath.Join(tmp, name))
		}
	}
	if err != nil {
		unlock()
		return nil, err
	}
	return unlock, nil
}

// sweep removes what killed conversions to the same folder left of other
// sources.
func sweep(prefix, but string) {
	siblings, _ := os.ReadDir(filepath.Dir(prefix))
	for _, e := range siblings {
		left := filepath.Join(filepath.Dir(prefix), e.Name())
		if !strings.HasPrefix(left, prefix) || left == but {
			continue
		}
		if unlock, err := claim(left); err == nil {
			_ = os.RemoveAll(left)
			unlock()
		}
	}
}

func finish(tmp, dst string, m *Manifest, report any) error {
	var err error
	if m.Report, err = json.Marshal(report); err != nil {
		return err
	}
	data, err := json.MarshalIndent(m, "", " ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(tmp, manifestName), data, 0o644); err != nil {
		return err
	}
	if err := os.RemoveAll(Spool(tmp)); err != nil {
		return err
	}
	if err := replace(tmp, dst); err != nil {
		return err
	}
	return os.Remove(filepath.Join(dst, lockName)) // only now: nobody else may touch tmp before
}

// replace moves tmp to dst. What was at dst goes last, so that there is always
// one of the two.
func replace(tmp, dst string) error {
	old := tmp + ".old"
	if err := os.RemoveAll(old); err != nil {
		return err
	}
	if err := os.Rename(dst, old); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := os.Rename(tmp, dst); err != nil {
		return errors.Join(err, os.Rename(old, dst))
	}
	return os.RemoveAll(old)
}
