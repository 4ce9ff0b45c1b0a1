package agentcore

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/strandsgo/strands"
	"github.com/strandsgo/strands/python"
)

// Prepare makes what sessions need, the Python environment above all, and
// opens one to see that they work. Without it the first start of a session
// does that.
func (s *Server) Prepare(ctx context.Context) error {
	_, err := s.prepare(ctx)
	return err
}

func (s *Server) prepare(ctx context.Context) (*kernelSettings, error) {
	if ready := s.ready.Load(); ready != nil {
		return ready, nil
	}
	s.starting.Lock()
	defer s.starting.Unlock()
	if ready := s.ready.Load(); ready != nil {
		return ready, nil
	}
	if s.isClosed() {
		return nil, strands.ErrClosed
	}
	made := s.settings()
	if made.interpreter == nil {
		made.programs = s.cfg.Level != python.LevelFiltered
		made.interpreter = s.backend(made.programs)
	}
	err := s.try(ctx, made)
	if _, lacks := errors.AsType[*python.IsolationError](err); lacks && s.own != nil && s.cfg.Level == "" {
		s.cfg.Logger.WarnContext(ctx, "agentcore: sessions of this machine cannot start programs: there are no commands and there is no JavaScript", "error", err)
		err = s.own.Close()
		made = s.settings()
		made.interpreter = s.backend(false)
		err = errors.Join(err, s.try(ctx, made))
	}
	if err != nil {
		return nil, fmt.Errorf("agentcore: no session can be opened: %w", err)
	}
	s.ready.Store(made)
	return made, nil
}

func (s *Server) settings() *kernelSettings {
	return &kernelSettings{
		interpreter: s.cfg.Interpreter, options: sessionOptions(s.cfg.Options), keepSpace: s.cfg.KeepSpace,
		programs: s.cfg.Programs, javascript: s.cfg.JavaScript, transfer: s.transfer, maxTransfer: s.cfg.MaxTransfer,
	}
}

// systemPrograms is what Sandboxed.Programs is when nothing is said.
var systemPrograms = []string{"/bin", "/usr/bin", "/lib", "/lib64", "/usr/lib", "/usr/lib64"}

// backend makes the server's own interpreter.
func (s *Server) backend(programs bool) python.Interpreter {
	s.own = &python.Sandboxed{Level: s.cfg.Level, Logger: s.cfg.Logger, Processes: programs, Pool: max(0, s.cfg.Ready)}
	if programs && len(s.cfg.JavaScript) > 0 {
		s.own.Programs = append(slices.Clone(systemPrograms), s.cfg.JavaScript[0])
	}
	return s.own
}

// try opens and closes a session.
func (s *Server) try(ctx context.Context, settings *kernelSettings) error {
	k, err := openKernel(ctx, settings)
	if err != nil {
		return err
	}
	return k.close()
}

func (s *Server) isClosed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}
