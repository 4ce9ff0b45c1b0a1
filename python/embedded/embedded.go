//go:build (linux && (amd64 || arm64)) || (darwin && (amd64 || arm64)) || (windows && amd64)

package embedded

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/kluctl/go-embed-python/pip"
	cpython "github.com/kluctl/go-embed-python/python"

	"github.com/strandsgo/strands/python"
)

// release is the version of the go-embed-python module in go.mod; a test
// compares them. It names the folder, so a new release never meets the files
// of an old one.
const release = "3.14.6-20260610-1"

func init() { python.Register(*Distribution()) }

// Distribution returns what the import registers, for programs that fill in
// an environment manager themselves. It is nil where there is none.
func Distribution() *python.Distribution {
	return &python.Distribution{Name: "cpython-" + release, Extract: extractPython, Pip: extractPip}
}

func extractPython(dir string) (string, error) {
	ep, err := cpython.NewEmbeddedPythonWithTmpDir(filepath.Join(dir, "cpython"), false)
	if err != nil {
		return "", fmt.Errorf("unpacking the embedded Python: %w", err)
	}
	if err := os.Remove(ep.GetExtractedPath() + ".lock"); err != nil {
		return "", fmt.Errorf("unpacking the embedded Python: %w", err)
	}
	return ep.GetExePath()
}

// extractPip stages pip in a private folder. The embedding module always
// unpacks it to a fixed prefix in the system's temp folder, keeping what
// already lies there, so another user could plant files; a name that leads
// into our folder closes that.
func extractPip(dir string) (string, error) {
	stage, err := os.MkdirTemp("", "strands-pip-")
	if err != nil {
		return "", fmt.Errorf("unpacking pip: %w", err)
	}
	defer os.RemoveAll(stage)
	lib, err := pip.NewPipLib("/../" + filepath.Base(stage) + "/pip")
	if err != nil {
		return "", fmt.Errorf("unpacking pip: %w", err)
	}
	if filepath.Dir(lib.GetExtractedPath()) != filepath.Clean(stage) {
		return "", fmt.Errorf("unpacking pip: it went to %s, not below %s", lib.GetExtractedPath(), stage)
	}
	path := filepath.Join(dir, "pip")
	if err := os.CopyFS(path, os.DirFS(lib.GetExtractedPath())); err != nil {
		return "", fmt.Errorf("unpacking pip: %w", err)
	}
	return path, nil
}
