package strands

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"maps"
	"runtime"
	"slices"
	"sync"
	"time"
	"weak"
)

// Config says what an Agent is. Only Model is required. It is copied by New;
// what its fields point to must not be changed afterwards.
type Config struct {
	Name        string // "" = "agent"; a valid tool name, for an agent used as a tool
	Description string // for an agent used as a tool
	Model       Model

	SystemPrompt string
	System       []Part // the system prompt as texts and cache points; not together with SystemPrompt

	Tools     []Tool
	Providers []ToolProvider // closed by Agent.Close
	Hooks     []Hooks
	Plugins   []Plugin

	Messages []Message      // a session begins with a copy of these
	Values   map[string]any // and with these values, a restored one too where it has none of its own; see Session.Set
	Store    Store          // nil = sessions are kept in memory only

	Conversation ConversationManager // nil = the history is never shortened

	Output       *OutputSpec // nil = answers are text
	OutputPrompt string      // asks for the structured answer when the model gave none; "" = a built-in sentence

	Limits      Limits
	Retry       RetryPolicy
	Sequential  bool          // tool calls of one reply run one after the other
	MaxParallel int           // tool calls of one reply at once; 0 = 8
	ToolTimeout time.Duration // of each tool call; 0 = none

	Telemetry Telemetry
	Logger    *slog.Logger // nil = slog.Default()
}

// Limits bound a run. For every field zero means the default and a negative
// value none. A limit met is a *LimitError with the partial result.
type Limits struct {
	Turns          int // model calls answered; 50
	TotalTokens    int // none
	OutputTokens   int // none
	OutputAttempts int // tries at a valid structured output; 3
	HookRetries    int // of one call, asked for by hooks; 5
	Resumes        int // rounds asked for by AfterInvocation; 10
	Recoveries     int // of one model call from a context that was too long; 3
}

// RetryPolicy says how model calls are repeated. The zero value makes six
// attempts at most, waiting 4, 8, 16, 32 and 64 seconds, or what the provider
// asked for when that is longer (but at most MaxDelay).
type RetryPolicy struct {
	Attempts int              // calls in all; 0 = 6; 1 = no retry
	Delay    time.Duration    // before the second call, doubled each time; 0 = 4 s
	MaxDelay time.Duration    // 0 = 240 s
	Jitter   bool             // wait a random part of the delay
	Retry    func(error) bool // which errors; nil = (*ModelError).Temporary
}

// Agent is a definition: a model, its instructions and what it can do. It is
// never changed after New and is safe for concurrent use by any number of
// sessions.
type Agent struct {
	cfg    Config
	tools  *toolset
	values map[string]rawJSON
	log    *slog.Logger
	tel    *telemetry
	house  *house

	spanName string // of a run
}

// house is what of an agent must be ended. It does not point to the Agent, so
// that a dropped one can be collected.
type house struct {
	providers []ToolProvider

	mu     sync.Mutex
	closed bool
	lives  map[*life]weak.Pointer[Session]
}

// New checks cfg and makes an Agent. It starts nothing and asks nobody. A
// mistake is an *InputError that names the field.
func New(cfg Config) (*Agent, error) {
	cfg.Name = cmp.Or(cfg.Name, "agent")
	cfg.Tools = slices.Clone(cfg.Tools)
	cfg.Providers = slices.Clone(cfg.Providers)
	cfg.Hooks = slices.Clone(cfg.Hooks)
	if err := cfg.plug(); err != nil {
		return nil, err
	}
	if cfg.SystemPrompt != "" && cfg.System != nil {
		return nil, &InputError{Field: "Config.System", Reason: "set either SystemPrompt or System"}
	}
	if cfg.SystemPrompt != "" {
		cfg.System = []Part{Text(cfg.SystemPrompt)}
	}
	cfg.System = cloneParts(cfg.System)
	if err := cfg.check(); err != nil {
		return nil, err
	}
	in := Input{Messages: cfg.Messages}
	cfg.Messages = in.messages()
	a := &Agent{cfg: cfg, log: cfg.Logger, house: &house{providers: cfg.Providers, lives: map[*life]weak.Pointer[Session]{}}}
	if a.log == nil {
		a.log = slog.Default()
	}
	var err error
	if a.tel, err = newTelemetry(&a.cfg); err != nil {
		return nil, err
	}
	a.spanName = "invoke_agent " + cfg.Name
	if a.tools, err = newToolset(cfg.Tools...); err != nil {
		return nil, err
	}
	if a.values, err = rawValues(cfg.Values); err != nil {
		return nil, err
	}
	if o := cfg.Output; o != nil {
		if _, err := newOutputTool(o); err != nil {
			return nil, err
		}
	}
	runtime.AddCleanup(a, func(h *house) { go h.close() }, a.house)
	return a, nil
}

func (cfg *Config) check() error {
	if cfg.Model == nil {
		return &InputError{Field: "Config.Model", Reason: "is required"}
	}
	if err := checkToolName(cfg.Name); err != nil {
		return &InputError{Field: "Config.Name", Reason: err.Error()}
	}
	if err := checkSystem("Config.System", cfg.System); err != nil {
		return err
	}
	if slices.Contains(cfg.Providers, nil) {
		return &InputError{Field: "Config.Providers", Reason: "one of them is nil"}
	}
	if err := validate(cfg.Messages); err != nil {
		return fmt.Errorf("Config.Messages: %w", err)
	}
	if cfg.MaxParallel < 0 || cfg.ToolTimeout < 0 {
		return &InputError{Field: "Config", Reason: "MaxParallel and ToolTimeout must not be negative"}
	}
	return nil
}

// Name returns Config.Name, or its default.
func (a *Agent) Name() string { return a.cfg.Name }

// Model returns the agent's model.
func (a *Agent) Model() Model { return a.cfg.Model }

// NewSession begins a conversation under a new random id. It does no I/O.
func (a *Agent) NewSession() *Session { return a.newSession(rand.Text()) }

// NewSessionID begins a conversation under a chosen id; which ids are valid
// says Store. It does no I/O: an id that is stored already is noticed by the
// first Run, as ErrConflict.
func (a *Agent) NewSessionID(id string) (*Session, error) {
	if err := CheckSessionID(id); err != nil {
		return nil, err
	}
	return a.newSession(id), nil
}

func (a *Agent) newSession(id string) *Session {
	s := &Session{id: id, agent: a, life: newLife(), tools: a.tools, system: a.cfg.System, values: maps.Clone(a.values)}
	for _, m := range a.cfg.Messages {
		s.append(m)
	}
	h := a.house
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		s.life.close()
		return s
	}
	h.lives[s.life] = weak.Make(s)
	runtime.AddCleanup(s, func(l *life) {
		go func() { // closing may take long, and cleanups share a goroutine
			l.close()
			h.forget(l)
		}()
	}, s.life)
	return s
}

func (h *house) forget(l *life) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.lives, l)
}

// Run answers in on a session of its own, which it closes. See Session.Run.
func (a *Agent) Run(ctx context.Context, in Input) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		s := a.NewSession()
		closed := false
		defer func() {
			if !closed { // the caller left
				_ = s.Close()
			}
		}()
		var end Event
		for e, err := range s.Run(ctx, in) {
			if err != nil {
				closed = true
				yield(Event{}, errors.Join(err, s.Close()))
				return
			}
			if e.Result != nil {
				end = e
			} else if !yield(e, nil) {
				return
			}
		}
		closed = true
		if err := s.Close(); err != nil {
			yield(Event{}, err)
			return
		}
		yield(end, nil)
	}
}

// Ask asks one question on a session of its own, and closes it.
func (a *Agent) Ask(ctx context.Context, prompt string) (*Result, error) {
	return Collect(a.Run(ctx, Prompt(prompt)))
}

// Close closes all sessions that are still open, then the agent's tool
// providers. It waits for the sessions' runs, which it cancels. All are
// attempted; the errors are joined. A second call does nothing.
func (a *Agent) Close() error { return a.house.close() }

func (h *house) close() error {
	h.mu.Lock()
	if h.closed {
		h.mu.Unlock()
		return nil
	}
	h.closed = true
	lives := maps.Clone(h.lives)
	h.mu.Unlock()

	var mu sync.Mutex
	var errs []error
	var wg sync.WaitGroup
	for l, weakly := range lives {
		wg.Go(func() {
			end := l.close
			if s := weakly.Value(); s != nil {
				end = s.Close // stores what is not stored yet
			}
			if err := end(); err != nil {
				mu.Lock()
				defer mu.Unlock()
				errs = append(errs, err)
			}
		})
	}
	wg.Wait()
	for _, p := range slices.Backward(h.providers) {
		errs = append(errs, p.Close())
	}
	return errors.Join(errs...)
}
