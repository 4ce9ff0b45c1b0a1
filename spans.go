package strands

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"slices"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/strandsgo/strands/internal/meters"
)

// cycle is a model call with the tool calls it asked for, when it has a span.
type cycle struct {
	ctx   context.Context
	span  trace.Span
	start time.Time
}

// traced begins the span of the run; the returned func ends it.
func (r *run) traced() func() {
	a := r.s.agent
	ctx, span := a.tel.tracer.Start(r.ctx, a.spanName, a.tel.runs...)
	if !span.SpanContext().IsValid() { // nobody listens
		r.silent = true
		return func() {}
	}
	r.ctx = ctx
	if !span.IsRecording() {
		return func() { span.End() }
	}
	span.SetAttributes(attribute.String("gen_ai.conversation.id", r.s.id))
	if a.tel.Content {
		sayAll(span, nil, r.in.messages())
	}
	return func() {
		span.SetAttributes(usageAttrs(r.usage)...)
		if ts := r.merged; ts != nil {
			names := make([]string, len(ts.specs))
			for i, s := range ts.specs {
				names[i] = s.Name
			}
			b, _ := json.Marshal(names) // strings always marshal
			span.SetAttributes(attribute.String("gen_ai.agent.tools", string(b)))
		}
		if r.res != nil {
			span.SetAttributes(attribute.StringSlice("gen_ai.response.finish_reasons", []string{string(r.res.StopReason)}))
			if a.tel.Content {
				sayChoice(span, r.res.Message, r.res.StopReason)
			}
		}
		endSpan(span, r.err)
	}
}

var noSpan = trace.SpanFromContext(context.Background())

// span begins a span, unless nobody listens to those of the run.
func (r *run) span(ctx context.Context, name, what string, opts []trace.SpanStartOption) (context.Context, trace.Span) {
	if r.silent {
		return ctx, noSpan
	}
	if what != "" {
		name += " " + what
	}
	return r.s.agent.tel.tracer.Start(ctx, name, opts...)
}

// openCycle begins a cycle, unless one is open.
func (r *run) openCycle() {
	c := &r.cycle
	if c.span != nil {
		return
	}
	tel := r.s.agent.tel
	c.start = time.Now()
	c.ctx, c.span = r.span(r.ctx, "execute_event_loop_cycle", "", tel.cycles)
	tel.meters.Cycles.Add(c.ctx, 1)
	tel.meters.CyclesBegun.Add(c.ctx, 1)
	if c.span.IsRecording() {
		c.span.SetAttributes(attribute.Int("event_loop.cycle_number", r.cycles+1), attribute.String("event_loop.cycle_id", c.span.SpanContext().SpanID().String()))
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.trace.begin()
}

// closeCycle ends the cycle that is open, if one is.
func (r *run) closeCycle(err error) {
	c := r.cycle
	if c.span == nil {
		return
	}
	r.cycle = cycle{}
	m := r.s.agent.tel.meters
	took := time.Since(c.start)
	m.CyclesEnded.Add(c.ctx, 1)
	m.CycleTime.Record(c.ctx, took.Seconds())
	endSpan(c.span, err)
	r.mu.Lock()
	defer r.mu.Unlock()
	if t := r.trace.last(); t != nil {
		t.Duration = Duration(took)
	}
}

// workCtx is the context of what happens now: of the cycle when one is open.
func (r *run) workCtx() context.Context {
	if r.cycle.span != nil {
		return r.cycle.ctx
	}
	return r.ctx
}

// chat is one model call under way. It is a Model, so that the model calls of
// others are seen too.
type chat struct {
	Model
	run   *run
	own   bool // it is the agent's model
	start time.Time
	first time.Duration // until the first delta; 0 = none came
}

// Unwrap lets Describe look through.
func (c *chat) Unwrap() Model { return c.Model }

// Generate asks the model, inside a span.
func (c *chat) Generate(ctx context.Context, req *Request) iter.Seq2[Chunk, error] {
	return func(yield func(Chunk, error) bool) {
		tel := c.run.s.agent.tel
		info, opts := tel.model, tel.chats
		if !c.own {
			info = Describe(c.Model)
			opts = tel.begin(trace.SpanKindClient, "chat", modelAttrs(info)...)
		}
		ctx, span := c.run.span(ctx, "chat", info.ID, opts)
		if span.IsRecording() && tel.Content {
			sayAll(span, req.System, req.Messages)
		}
		var reply *Reply
		err := errNoReply // also what is left by a panic, and by one who stops listening
		c.start, c.first = time.Now(), 0
		defer func() { c.end(ctx, span, info, reply, err) }()
		for ch, e := range c.Model.Generate(ctx, req) {
			switch {
			case e != nil:
				reply, err = nil, e
			case ch.Reply != nil:
				reply, err = ch.Reply, nil
			case c.first == 0:
				c.first = time.Since(c.start)
			}
			if !yield(ch, e) {
				return
			}
		}
	}
}

func (c *chat) end(ctx context.Context, span trace.Span, info ModelInfo, reply *Reply, err error) {
	tel, took := c.run.s.agent.tel, time.Since(c.start)
	var usage Usage
	if reply != nil {
		usage = reply.Usage
	}
	failure := ""
	if err != nil {
		failure = errorType(err)
	}
	tel.meters.CountChat(ctx, meters.Usage{Input: usage.Input, Output: usage.Output, CacheRead: usage.CacheRead, CacheWrite: usage.CacheWrite}, took, c.first,
		func() []attribute.KeyValue {
			return append(modelAttrs(info), attribute.String("gen_ai.operation.name", "chat"))
		}, failure)
	if !span.IsRecording() {
		span.End()
		return
	}
	span.SetAttributes(attribute.Int64("gen_ai.server.request.duration", took.Milliseconds()))
	if c.first > 0 {
		span.SetAttributes(attribute.Int64("gen_ai.server.time_to_first_token", c.first.Milliseconds()))
	}
	if reply != nil {
		span.SetAttributes(usageAttrs(usage)...)
		span.SetAttributes(attribute.StringSlice("gen_ai.response.finish_reasons", []string{string(reply.StopReason)}))
		if reply.Model != "" {
			span.SetAttributes(attribute.String("gen_ai.response.model", reply.Model))
		}
		if tel.Content {
			sayChoice(span, reply.Message, reply.StopReason)
		}
	}
	endSpan(span, err)
}

// startTool begins the span of a call.
func (r *run) startTool(ctx context.Context, tool Tool, call *ToolCall) (context.Context, trace.Span) {
	t := r.s.agent.tel
	ctx, span := r.span(ctx, "execute_tool", call.Name, t.tools)
	if !span.IsRecording() {
		return ctx, span
	}
	span.SetAttributes(
		attribute.String("gen_ai.tool.name", call.Name), attribute.String("gen_ai.tool.call.id", call.ID),
		attribute.String("gen_ai.tool.type", "function"),
	)
	if tool != nil {
		spec := tool.Spec()
		span.SetAttributes(attribute.String("gen_ai.tool.description", spec.Description), attribute.String("gen_ai.tool.json_schema", string(spec.InputSchema)))
	}
	if t.Content {
		say(span, "gen_ai.tool.message", "role", "tool", "content", string(call.Input), "id", call.ID)
	}
	return ctx, span
}

// endTool ends it. What an error result says is content.
func (t *telemetry) endTool(span trace.Span, call *ToolCall, res *ToolResult, err error) {
	if !span.IsRecording() {
		span.End()
		return
	}
	status := "success"
	switch _, asked := errors.AsType[*InterruptError](err); {
	case asked:
		status, err = "interrupt", nil
	case err != nil:
		status = "error"
	case res.IsError:
		status = "error"
		text := "the tool failed"
		if t.Content {
			text = res.Text()
		}
		span.SetStatus(codes.Error, text)
		span.SetAttributes(attribute.String("error.type", "tool_error"))
	}
	span.SetAttributes(attribute.String("gen_ai.tool.status", status))
	if res != nil && t.Content {
		say(span, "gen_ai.choice", "message", contentOf(res.Parts), "id", call.ID)
	}
	endSpan(span, err)
}

// sayAll makes an event of each message, named by who speaks.
func sayAll(span trace.Span, system []Part, messages []Message) {
	if len(system) > 0 {
		say(span, "gen_ai.system.message", "role", "system", "content", contentOf(system))
	}
	for _, m := range messages {
		results := m.ToolResults()
		for _, res := range results {
			say(span, "gen_ai.tool.message", "role", "tool", "content", contentOf(res.Parts), "id", res.CallID)
		}
		rest := slices.DeleteFunc(slices.Clone(m.Parts), func(p Part) bool { return p.ToolResult != nil })
		if len(rest) > 0 {
			say(span, "gen_ai."+string(m.Role)+".message", "role", string(m.Role), "content", contentOf(rest))
		}
	}
}

func sayChoice(span trace.Span, m Message, why StopReason) {
	say(span, "gen_ai.choice", "message", contentOf(m.Parts), "finish_reason", string(why))
}

func say(span trace.Span, event string, pairs ...string) {
	attrs := make([]attribute.KeyValue, 0, len(pairs)/2)
	for i := 0; i < len(pairs); i += 2 {
		attrs = append(attrs, attribute.String(pairs[i], pairs[i+1]))
	}
	span.AddEvent(event, trace.WithAttributes(attrs...))
}

// contentOf writes parts as JSON, without the bytes of pictures and documents.
func contentOf(parts []Part) string {
	parts = slices.Clone(parts)
	for i, p := range parts {
		for _, m := range []**Media{&p.Image, &p.Document, &p.Video} {
			if *m = clonePtr(*m); *m != nil {
				(*m).Data = nil
			}
		}
		parts[i] = p
	}
	b, err := json.Marshal(parts)
	if err != nil {
		return "<" + err.Error() + ">"
	}
	return string(b)
}
