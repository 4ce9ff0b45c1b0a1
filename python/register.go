package python

import (
	"sync"

	"github.com/strandsgo/strands/internal/pyenv"
)

// Distribution is a CPython that a program carries inside itself.
type Distribution = pyenv.Distribution

var registered struct {
	mu   sync.Mutex
	dist *Distribution
}

// Register makes d the interpreter that backends use when neither they nor
// $STRANDS_PYTHON name one. It is called from the init function of the package
// that brings the distribution (python/embedded); the last one wins.
func Register(d Distribution) {
	registered.mu.Lock()
	defer registered.mu.Unlock()
	registered.dist = &d
}

// distribution returns what was registered; nil when nothing was.
func distribution() *Distribution {
	registered.mu.Lock()
	defer registered.mu.Unlock()
	return registered.dist
}

// InstallError says why Options.Requirements could not be installed:
// Unreachable when there is no package index.
type InstallError = pyenv.InstallError
