// Codeagent asks a model that acts by writing Python, and runs Python in the
// same sandbox without one.
package main

import (
	"os"

	"github.com/strandsgo/strands/cmd/codeagent/internal/command"
)

func main() {
	os.Exit(command.Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
