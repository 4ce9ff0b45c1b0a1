// Package worker carries the Python that runs inside a session: it executes
// snippets, streams what they print and calls functions of the host. It talks
// docs/protocol.md over the descriptor it is given and knows nothing of
// confinement, which is internal/sandbox's work.
package worker

import (
	"embed"

	"github.com/strandsgo/strands/internal/sandbox"
)

//go:embed *.py
var sources embed.FS

// order is that of execution: a module may import those before it.
var order = []string{
	"private", "interrupts", "frames", "streams", "values", "guard", "limits", "cells",
	"bulk", "hostcalls", "functions", "modules", "figures", "files", "fixed", "leftovers", "forks", "main",
}

// Entry is the function to call once the process is confined: with the
// descriptor of a stream socket, or with two of pipes, to read and to write. It
// returns when the host is gone.
const Entry = "strands_worker.main:serve"

// Modules returns the worker's modules in the order in which they must be
// registered in sys.modules and executed, before confinement and before any
// fork: they hold no state of a session.
func Modules() []sandbox.WorkerModule {
	modules := []sandbox.WorkerModule{{Name: "strands_worker"}} // the package; empty
	for _, name := range order {
		source, err := sources.ReadFile(name + ".py")
		if err != nil {
			panic(err) // order and the folder disagree; a test compares them
		}
		modules = append(modules, sandbox.WorkerModule{Name: "strands_worker." + name, Source: string(source)})
	}
	return modules
}

//go:embed pump/pump.py
var pump string

// Pump is the module that carries bytes between a worker and a host that can
// do no more than have a kernel run code: its functions are start and turn.
func Pump() string { return pump }
