//go:build !((linux && (amd64 || arm64)) || (darwin && (amd64 || arm64)) || (windows && amd64))

package embedded

import "github.com/strandsgo/strands/python"

// Distribution returns nil: there is no CPython for this platform.
func Distribution() *python.Distribution { return nil }
