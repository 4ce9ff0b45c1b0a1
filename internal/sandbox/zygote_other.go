//go:build !linux

package sandbox

import (
	"context"
	"errors"
	"os"
)

// errLinux names the ways to isolation on other systems.
var errLinux = errors.New("sandbox: confined sessions need Linux; run in a Linux container, " +
	"use the AgentCore backend, or choose the unconfined backend explicitly")

// Zygote is a warm parent process that forks confined sessions. Linux only.
type Zygote struct{}

// Start fails: there is no confinement on this system.
func Start(context.Context, Config) (*Zygote, error) { return nil, errLinux }

// Probe reports that a process can only be unconfined on this system.
func Probe(context.Context, Python) (Report, error) {
	return Unconfined("this system: confinement needs Linux"), nil
}

// Fork fails.
func (*Zygote) Fork(context.Context, SessionConfig) (Process, error) { return nil, errLinux }

// Report is that of a plain process.
func (*Zygote) Report() Report { return Unconfined() }

// Warnings is empty.
func (*Zygote) Warnings() []string { return nil }

// Done never ends.
func (*Zygote) Done() <-chan struct{} { return nil }

// Close does nothing.
func (*Zygote) Close() error { return nil }

// MakeFolder makes a private folder for a process that is not confined. remove
// takes it away.
func MakeFolder() (path string, remove func() error, err error) {
	path, err = os.MkdirTemp("", "strands-session-")
	return path, func() error { return os.RemoveAll(path) }, err
}
