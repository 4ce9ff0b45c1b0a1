package pyenv

import (
	"os"
	"path/filepath"
)

// CodeDir returns a folder of the cache for compiled code, which only this
// user can write to; "" when there is none to be had.
func (m *Manager) CodeDir() string {
	dir, err := m.dir()
	if err != nil {
		return ""
	}
	dir = filepath.Join(dir, "code")
	if os.MkdirAll(dir, 0o755) != nil {
		return ""
	}
	return dir
}
