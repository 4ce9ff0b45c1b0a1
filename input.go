package strands

import (
	"cmp"
	"fmt"
	"strings"
)

// Input is what a run starts from. At most one of Parts, Messages and
// Responses is set; none of them goes on from the history as it is.
type Input struct {
	Parts     []Part              // of one user message
	Messages  []Message           // appended as they are
	Responses []InterruptResponse // to the interrupts the session waits for

	// The rest overrides the agent's Config for this run; zero = as configured.
	Model        Model
	System       []Part
	Tools        []Tool     // in addition
	ToolChoice   ToolChoice // of the first model call
	Hooks        []Hooks    // in addition, after the session's
	Limits       Limits
	Output       *OutputSpec
	OutputPrompt string
}

// Prompt is the Input of a user message of one text.
func Prompt(text string) Input { return Input{Parts: []Part{Text(text)}} }

// messages returns copies of what in adds to the history.
func (in *Input) messages() []Message {
	if len(in.Parts) > 0 {
		return []Message{UserMessage(in.Parts...).Clone()}
	}
	msgs := make([]Message, len(in.Messages))
	for i, m := range in.Messages {
		msgs[i] = m.Clone()
	}
	return msgs
}

// check finds the mistakes that can be found without knowing the session.
func (in *Input) check() error {
	set := 0
	for _, given := range []bool{in.Parts != nil, in.Messages != nil, in.Responses != nil} {
		if given {
			set++
		}
	}
	if set > 1 {
		return &InputError{Field: "Input", Reason: "set only one of Parts, Messages and Responses"}
	}
	for i, p := range in.Parts {
		if err := checkPart(p, User); err != nil {
			return &InputError{Field: fmt.Sprintf("Parts[%d]", i), Reason: err.Error()}
		}
	}
	for i, m := range in.Messages {
		if err := checkMessage(m); err != nil {
			return &InputError{Field: fmt.Sprintf("Messages[%d]", i), Reason: err.Error()}
		}
	}
	if in.Output != nil {
		if _, err := newOutputTool(in.Output); err != nil {
			return err
		}
	}
	return checkSystem("System", in.System)
}

func checkSystem(field string, parts []Part) error {
	for i, p := range parts {
		if p.CachePoint == nil && strings.TrimSpace(p.Text) == "" {
			return &InputError{Field: fmt.Sprintf("%s[%d]", field, i), Reason: "only texts that are not blank and cache points are allowed"}
		}
	}
	return nil
}

// or returns l with what is zero taken from d.
func (l Limits) or(d Limits) Limits {
	return Limits{
		Turns:          cmp.Or(l.Turns, d.Turns),
		TotalTokens:    cmp.Or(l.TotalTokens, d.TotalTokens),
		OutputTokens:   cmp.Or(l.OutputTokens, d.OutputTokens),
		OutputAttempts: cmp.Or(l.OutputAttempts, d.OutputAttempts),
		HookRetries:    cmp.Or(l.HookRetries, d.HookRetries),
		Resumes:        cmp.Or(l.Resumes, d.Resumes),
		Recoveries:     cmp.Or(l.Recoveries, d.Recoveries),
	}
}

var defaultLimits = Limits{Turns: 50, OutputAttempts: 3, HookRetries: 5, Resumes: 10, Recoveries: 3}

// met says whether n has reached the limit max; a negative or zero max is none.
func met(n, max int) bool { return max > 0 && n >= max }
