// Package codeagent makes agents that act by writing Python. Such an agent is
// an ordinary strands.Agent with one more tool, python_repl, and a system
// prompt that says how to use it and what the REPL offers.
package codeagent

import (
	"context"
	"io"
	"log/slog"
	"slices"
	"time"

	"github.com/strandsgo/strands"
	"github.com/strandsgo/strands/python"
)

// replTool is the name of the tool that python.NewTool makes.
const replTool = "python_repl"

// Config says what an agent is. Only Model is required. The first fields, down
// to Logger, are those of strands.Config and mean the same.
type Config struct {
	Name        string
	Description string
	Model       strands.Model

	// SystemPrompt, or System, says what the agent is for. The instructions
	// about Python are put behind it; before the cache point, when System ends
	// with one.
	SystemPrompt string
	System       []strands.Part

	Tools     []strands.Tool // offered to the model beside python_repl
	Providers []strands.ToolProvider
	Hooks     []strands.Hooks
	Plugins   []strands.Plugin

	Messages []strands.Message
	Values   map[string]any
	Store    strands.Store

	Conversation strands.ConversationManager

	Output       *strands.OutputSpec
	OutputPrompt string

	Limits      strands.Limits
	Retry       strands.RetryPolicy
	Sequential  bool
	MaxParallel int
	ToolTimeout time.Duration

	Telemetry strands.Telemetry
	Logger    *slog.Logger

	// Toolkits say what the REPL offers.
	Toolkits []Toolkit

	// ToolCalls makes the twin of the agent, to compare with: the model has the
	// functions and methods of the Toolkits as tools to call one by one, and no
	// Python. Large results are kept under handles that it can read and search.
	// Libraries, requirements and code of the Toolkits have no effect; modules
	// are a mistake. All fields from Interpreter on are ignored.
	ToolCalls bool

	// Interpreter runs the code. nil = a python.Sandboxed of the agent's own,
	// closed by Agent.Close; one given here is the caller's to close, and may
	// serve several agents.
	Interpreter python.Interpreter
	// KeepState keeps what the code defines for the whole session. Otherwise
	// each new user message begins with a fresh state.
	KeepState bool
	// Atomic leaves no half-done state: what code that raises has done to
	// variables is dropped, and the model is told so, and what was not undone
	// (files, calls). See python.Options.Atomic.
	Atomic bool
	// NoTempDir leaves the working directory out of the prompt.
	NoTempDir bool
	// DocLimit is how many characters of documentation of functions, objects
	// and modules the prompt holds. When there is more, it lists the modules
	// with a line each, and code finds what it needs with the function
	// search_functions, and help. 0 = 40,000, about 10,000 tokens; negative =
	// no limit.
	DocLimit int
	// Timeout of a snippet; 0 = 180 s; negative = none.
	Timeout time.Duration
	// PythonLimits bound the interpreter of a session: memory, disk, output, …
	PythonLimits python.Limits
	// Binds and Inputs are files for the code: those of this machine that it may
	// read where they lie, and those that each fresh state begins with. The
	// prompt names them.
	Binds  []python.Bind
	Inputs []python.Input
	// Artifacts keeps the pictures and files that code makes, and tells the
	// user of them: an *artifact.Keeper. nil = they are events only.
	Artifacts Artifacts
	// Fixed makes Python see the same clock and draw the same random numbers in
	// every run, so that a recorded run can be replayed. nil = the true ones.
	Fixed *python.Fixed
	// Labels are the headings in what the model reads of a snippet.
	Labels python.Labels
}

// New checks cfg and makes an agent of it. It starts nothing: no Python, no
// package installer, no network. A mistake is a *strands.InputError that names
// the field; several are joined.
func New(cfg Config) (*strands.Agent, error) {
	p, err := planOf(&cfg)
	if err != nil {
		return nil, err
	}
	if cfg.ToolCalls {
		sc, err := cfg.twin()
		if err != nil {
			return nil, err
		}
		return strands.New(sc)
	}
	sc := cfg.strands()
	sc.SystemPrompt, sc.System = behind(&cfg, p.instructions)
	interpreter := cfg.Interpreter
	if interpreter == nil {
		interpreter = &python.Sandboxed{Logger: cfg.Logger}
		sc.Providers = append(slices.Clone(sc.Providers), closing{interpreter})
	}
	tc := python.ToolConfig{Interpreter: interpreter, Options: p.options, KeepState: cfg.KeepState, Labels: cfg.Labels}
	if cfg.Artifacts != nil {
		tc.Shown = keeping(cfg.Artifacts, cfg.Logger)
		sc.Hooks = append(slices.Clone(sc.Hooks), cfg.Artifacts.Hooks())
	}
	tool := python.NewTool(tc)
	sc.Tools = append([]strands.Tool{tool}, sc.Tools...)
	return strands.New(sc)
}

// Instructions returns what New puts behind the system prompt of cfg. A
// program that replaces the system prompt of a session puts it there itself.
func Instructions(cfg Config) (string, error) {
	p, err := planOf(&cfg)
	if err != nil {
		return "", err
	}
	return p.instructions, nil
}

// REPL returns the Python session of s, a session of an agent made by New; it
// is opened when no code has run yet. A program reads the files that code
// wrote through its python.Filer. It belongs to s and ends with it: do not
// close it, and keep s as long as you use it.
func REPL(ctx context.Context, s *strands.Session) (python.Session, error) {
	tool := s.Tool(replTool)
	if tool == nil {
		return nil, &strands.InputError{Field: "s", Reason: "it is no session of an agent made by codeagent.New"}
	}
	return python.Attached(ctx, s, tool)
}

// strands returns the part of c that is not about Python.
func (c *Config) strands() strands.Config {
	return strands.Config{
		Name: c.Name, Description: c.Description, Model: c.Model,
		SystemPrompt: c.SystemPrompt, System: c.System,
		Tools: c.Tools, Providers: c.Providers, Hooks: c.Hooks, Plugins: c.Plugins,
		Messages: c.Messages, Values: c.Values, Store: c.Store, Conversation: c.Conversation,
		Output: c.Output, OutputPrompt: c.OutputPrompt,
		Limits: c.Limits, Retry: c.Retry,
		Sequential: c.Sequential, MaxParallel: c.MaxParallel, ToolTimeout: c.ToolTimeout,
		Telemetry: c.Telemetry, Logger: c.Logger,
	}
}

// closing is a provider without tools: Agent.Close closes what is in it.
type closing struct{ io.Closer }

// Tools implements strands.ToolProvider.
func (closing) Tools(context.Context) ([]strands.Tool, error) { return nil, nil }
