package strands

import (
	"context"
	"io"
	"iter"
	"log/slog"
	"time"
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

	Messages []Message      // a session begins with a copy of these
	Values   map[string]any // and with these values; see Session.Set
	Store    Store          // nil = sessions are kept in memory only

	Output       *OutputSpec // nil = answers are text
	OutputPrompt string      // asks for the structured answer when the model gave none; "" = a built-in sentence

	Limits      Limits
	Retry       RetryPolicy
	Sequential  bool          // tool calls of one reply run one after the other
	MaxParallel int           // tool calls of one reply at once; 0 = 8
	ToolTimeout time.Duration // of each tool call; 0 = none

	Logger *slog.Logger // nil = slog.Default()
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
	cfg Config
}

// New checks cfg and makes an Agent. It starts nothing and asks nobody. A
// mistake is an *InputError that names the field.
func New(cfg Config) (*Agent, error) { panic("loop") }

// Name returns Config.Name, or its default.
func (a *Agent) Name() string { panic("loop") }

// Model returns the agent's model.
func (a *Agent) Model() Model { panic("loop") }

// NewSession begins a conversation under a new random id. It does no I/O.
func (a *Agent) NewSession() *Session { panic("loop") }

// Restore brings the conversation with that id back from Config.Store, with
// broken pairs of tool calls and results repaired; a missing one is
// ErrNotFound. NewSessionID begins one under a chosen id.
func (a *Agent) Restore(ctx context.Context, id string) (*Session, error) { panic("loop") }

// Ask asks one question on a session of its own, and closes it.
func (a *Agent) Ask(ctx context.Context, prompt string) (*Result, error) { panic("loop") }

// AsTool offers the agent as a tool with one argument, "input". Each call is
// a session of its own; its events come as ToolOutput.Inner.
func (a *Agent) AsTool() Tool { panic("loop") }

// Close closes the agent's tool providers and all sessions that are still
// open. It waits for their runs, which it cancels. All are attempted; the
// errors are joined. A second call does nothing.
func (a *Agent) Close() error { panic("loop") }

// Session is one conversation. It belongs to one run at a time: a second Run
// while one is under way fails at once with ErrConcurrentInvocation, and so
// does Call. The other methods are safe for concurrent use, from hooks and
// tools of a run too. Close it; a session that is dropped without is closed
// some time later by the garbage collector's cleanup.
type Session struct{}

// Input is what a run starts from. At most one of Parts, Messages and
// Responses is set; none of them goes on from the history as it is.
type Input struct {
	Parts     []Part              // of one user message
	Messages  []Message           // appended as they are
	Responses []InterruptResponse // to the interrupts the session waits for

	// The rest overrides the agent's Config for this run; zero = as configured.
	Model        Model
	System       []Part
	Tools        []Tool // in addition
	ToolChoice   ToolChoice
	Hooks        []Hooks // in addition, after the session's
	Limits       Limits
	Output       *OutputSpec
	OutputPrompt string
}

// Prompt is the Input of a user message of one text.
func Prompt(text string) Input { return Input{Parts: []Part{Text(text)}} }

// OutputSpec asks for an answer as JSON.
type OutputSpec struct {
	Name        string // of what is asked for; a valid tool name
	Description string
	Schema      []byte // JSON Schema of type object
}

// OutputOf describes the type T, a struct. It panics naming the field that has
// no schema.
func OutputOf[T any]() *OutputSpec { panic("loop") }

// ID returns the session's id.
func (s *Session) ID() string { panic("loop") }

// Run answers in. See the package comment, "The Run contract".
func (s *Session) Run(ctx context.Context, in Input) iter.Seq2[Event, error] { panic("loop") }

// Ask runs prompt and returns the result. After an error of the kind
// *LimitError the partial result is in it.
func (s *Session) Ask(ctx context.Context, prompt string) (*Result, error) { panic("loop") }

// Collect ranges over a run and returns its result.
func Collect(run iter.Seq2[Event, error]) (*Result, error) { panic("loop") }

// AskFor asks for an answer of type T.
func AskFor[T any](ctx context.Context, s *Session, prompt string) (T, error) { panic("loop") }

// Call runs a tool directly, with its hooks. It does not appear in the history.
func (s *Session) Call(ctx context.Context, name string, input any) (*ToolResult, error) {
	panic("loop")
}

// Cancel stops the run under way; its result has StopCancelled. Nothing
// happens when there is none.
func (s *Session) Cancel() { panic("loop") }

// Messages returns a copy of the history.
func (s *Session) Messages() []Message { panic("loop") }

// Turn counts the runs that began with a new user message. Tools use it to
// notice a new one.
func (s *Session) Turn() int { panic("loop") }

// Pending returns what an interrupted run waits with; nil when none does.
func (s *Session) Pending() *Pending { panic("loop") }

// Set keeps a value, as JSON, under a key that is not blank; nil deletes it.
func (s *Session) Set(key string, value any) error { panic("loop") }

// Get decodes the value of key into v and says whether there was one.
func (s *Session) Get(key string, v any) (bool, error) { panic("loop") }

// SetSystem replaces the system prompt from the next model call on.
func (s *Session) SetSystem(parts ...Part) { panic("loop") }

// AddTools offers more tools from the next model call on. A name that is
// taken is an error, and none is added.
func (s *Session) AddTools(tools ...Tool) error { panic("loop") }

// RemoveTool stops offering a tool and says whether it was offered.
func (s *Session) RemoveTool(name string) bool { panic("loop") }

// AddHooks registers hooks for what comes next. The returned func removes them.
func (s *Session) AddHooks(h Hooks) (remove func()) { panic("loop") }

// Close ends the session: it cancels its run and waits for it, then closes
// what was attached, last first. All are attempted; the errors are joined. A
// second call does nothing.
func (s *Session) Close() error { panic("loop") }

// Invoke makes a call from inside a tool: the same hooks, limits, events and
// traces see it as those of the model. c.ParentID is set to the running call
// when it is empty, c.ID to a new one. Outside a run it just calls t. The
// error is that of a run that is over, or one made by Fatal; everything else
// is in the result.
func Invoke(ctx context.Context, t Tool, c *ToolCall) (*ToolResult, error) { panic("loop") }

// Emit sends e to the one who ranges over the run, on that goroutine, and
// waits until it was taken. ToolOutput.CallID is set to the running call when
// it is empty. It fails once the run is over. Outside a run it does nothing.
func Emit(ctx context.Context, e Event) error { panic("loop") }

// SessionFrom returns the session on whose behalf a tool or hook runs; nil
// outside.
func SessionFrom(ctx context.Context) *Session { panic("loop") }

// CallFrom returns the tool call that is running; nil outside.
func CallFrom(ctx context.Context) *ToolCall { panic("loop") }

// Attach returns the value that lives on s under key, opening it the first
// time. Session.Close closes it. Concurrent calls with one key open once; an
// error of open is returned and nothing is kept.
func Attach[T io.Closer](ctx context.Context, s *Session, key any, open func(context.Context) (T, error)) (T, error) {
	panic("loop")
}

// NewTool makes a Tool of a function. In is a struct: its fields are the
// arguments, named by their json tags, described by their jsonschema tags,
// required unless they are omitempty, omitzero or pointers. Input is checked
// against the schema before f runs; Out's schema becomes the output schema. A
// string, []Part or *ToolResult is given to the model as it is, anything else
// as JSON. NewTool panics, naming the field, when it cannot infer a schema,
// and on a name that no model accepts.
func NewTool[In, Out any](name, doc string, f func(context.Context, In) (Out, error)) Tool {
	panic("loop")
}
