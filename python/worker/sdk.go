package worker

import (
	"embed"
	"io/fs"
)

//go:embed strands/*.py strands/*/*.py
var sdk embed.FS

// SDK is the Python package strands as tool files import it: what the Strands
// SDK offers to those who write tools, for sessions that load such files.
func SDK() fs.FS {
	sub, err := fs.Sub(sdk, "strands")
	if err != nil {
		panic(err) // only a malformed path is an error
	}
	return sub
}
