package sandbox

import (
	"context"
	"errors"
)

// Zygote is a warm parent process: it has executed the worker's modules and
// imported the preloaded ones, and forks confined sessions. Its methods are
// safe for concurrent use.
type Zygote struct{}

// Start starts a Zygote at the demanded level, else the strongest that can be
// had. It fails with a *LevelError when that is not available. The zygote
// outlives ctx, which bounds the start only; Close it.
func Start(ctx context.Context, cfg Config) (*Zygote, error) {
	return nil, errors.New("sandbox: not built yet")
}

// Probe starts and confines one process with the interpreter as a session
// would be, and reports what was verified. Below LevelFiltered the report says
// LevelNone and why. The first answer for an interpreter is kept for the
// life of this program.
func Probe(ctx context.Context, py Python) (Report, error) {
	return Report{}, errors.New("sandbox: not built yet")
}

// Fork opens a session: a fork of the zygote that has confined itself and was
// verified from outside. ctx bounds the opening only. When the zygote has
// ended the error is ErrZygote.
func (z *Zygote) Fork(ctx context.Context, s SessionConfig) (Process, error) {
	return nil, ErrZygote
}

// Report is what every session of the zygote will be verified to have; Memory
// may be less for a single one.
func (z *Zygote) Report() Report { return Report{} }

// Warnings says which modules were not preloaded, and why.
func (z *Zygote) Warnings() []string { return nil }

// Done is closed when the process has ended, by Close or not.
func (z *Zygote) Done() <-chan struct{} { return nil }

// Close kills the zygote and all its sessions, waits for them, and removes
// what they leave. A second call does nothing.
func (z *Zygote) Close() error { return nil }
