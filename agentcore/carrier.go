package agentcore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrockagentcore"
	"github.com/aws/aws-sdk-go-v2/service/bedrockagentcore/types"
	"github.com/aws/smithy-go"

	"github.com/strandsgo/strands/python"
)

const (
	stopPatience  = 15 * time.Second
	throttleTries = 6
	throttlePause = 200 * time.Millisecond // the first; each next is twice as long
)

// Error is a request that AgentCore refused, or that did not reach it.
type Error struct {
	Op      string // "InvokeCodeInterpreter"
	Code    string // "AccessDeniedException", "ThrottlingException", …; "" when no answer came
	Message string // the service's, or what to do
	Err     error  // of the SDK
}

// Error implements error.
func (e *Error) Error() string {
	if e.Code == "" {
		return "agentcore: " + e.Op + ": " + e.Message
	}
	return "agentcore: " + e.Op + ": " + e.Code + ": " + e.Message
}

func (e *Error) Unwrap() error { return e.Err }

// failure makes an Error of what the SDK says.
func failure(op, resource string, err error) error {
	e := &Error{Op: op, Message: err.Error(), Err: err}
	api, ok := errors.AsType[smithy.APIError](err)
	if !ok {
		return e
	}
	e.Code, e.Message = api.ErrorCode(), api.ErrorMessage()
	switch {
	case strings.HasPrefix(e.Code, "AccessDenied"):
		e.Message = fmt.Sprintf("the caller may not do bedrock-agentcore:%s on %s; allow that action in its IAM policy (%s)",
			op, resource, e.Message)
	case strings.HasPrefix(e.Code, "ExpiredToken"):
		e.Message = "the AWS credentials have expired; renew them (" + e.Message + ")"
	}
	return e
}

// carrier is a session of AgentCore.
type carrier struct {
	client      *bedrockagentcore.Client
	interpreter string
	id          string
	began       time.Time
	life        time.Duration
	logger      *slog.Logger
	usage       *meter
	used        Usage
}

// Used is told what the session has used.
func (c *carrier) Used(cpu time.Duration, memory int64) { c.used.CPU, c.used.Memory = cpu, memory }

// Run implements python.Carrier.
func (c *carrier) Run(ctx context.Context, code string) (string, error) {
	res, err := c.invoke(ctx, types.ToolNameExecuteCode, &types.ToolArguments{
		Code: &code, Language: types.ProgrammingLanguagePython, ClearContext: aws.Bool(false),
	})
	if err != nil {
		return "", err
	}
	if s := res.StructuredContent; s != nil && s.Stdout != nil {
		return *s.Stdout, nil
	}
	return textOf(res), nil
}

// Put implements python.Carrier.
func (c *carrier) Put(ctx context.Context, name, text string) error {
	_, err := c.invoke(ctx, types.ToolNameWriteFiles, &types.ToolArguments{
		Content: []types.InputContentBlock{{Path: &name, Text: &text}},
	})
	return err
}

// Get implements python.Carrier.
func (c *carrier) Get(ctx context.Context, name string) (string, error) {
	res, err := c.invoke(ctx, types.ToolNameReadFiles, &types.ToolArguments{Paths: []string{name}})
	if err != nil {
		return "", err
	}
	for _, b := range res.Content {
		switch {
		case b.Resource == nil:
		case b.Resource.Text != nil:
			return *b.Resource.Text, nil
		case b.Resource.Blob != nil:
			return string(b.Resource.Blob), nil
		}
	}
	return "", fmt.Errorf("agentcore: readFiles of %s gave no file: %s", name, textOf(res))
}

// Expires implements python.Carrier.
func (c *carrier) Expires() (time.Time, string) {
	return c.began.Add(c.life), fmt.Sprintf("the code interpreter session has reached its time to live of %v, which counts from its start", c.life)
}

// old says whether the session's time is over, or as good as.
func (c *carrier) old() bool { return time.Since(c.began) > c.life-time.Second }

// ended says what became of a session that the service knows no more.
func (c *carrier) ended() string {
	if c.old() {
		_, words := c.Expires()
		return words
	}
	return "the code interpreter session was ended by the service or by somebody else"
}

// goneError is python.ErrSessionGone in better words.
type goneError struct {
	words string
	err   error
}

func (e *goneError) Error() string   { return e.words }
func (e *goneError) Unwrap() []error { return []error{python.ErrSessionGone, e.err} }

// Close implements python.Carrier.
func (c *carrier) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), stopPatience)
	defer cancel()
	_, err := c.client.StopCodeInterpreterSession(ctx, &bedrockagentcore.StopCodeInterpreterSessionInput{
		CodeInterpreterIdentifier: &c.interpreter, SessionId: &c.id,
	})
	c.used.Duration = time.Since(c.began)
	c.usage.add(c.used)
	if _, gone := errors.AsType[*types.ResourceNotFoundException](err); gone || err == nil {
		return nil
	}
	return failure("StopCodeInterpreterSession", c.interpreter, err)
}

// invoke has a tool called and returns its one result. What the tool itself
// did wrong is an error: the code is ours.
func (c *carrier) invoke(ctx context.Context, tool types.ToolName, args *types.ToolArguments) (*types.CodeInterpreterResult, error) {
	out, err := c.send(ctx, tool, args)
	if err != nil {
		err = failure("InvokeCodeInterpreter", c.interpreter, err)
		if _, gone := errors.AsType[*types.ResourceNotFoundException](err); gone {
			err = &goneError{c.ended(), err}
		}
		return nil, err
	}
	stream := out.GetStream()
	defer stream.Close()
	var res *types.CodeInterpreterResult
	for event := range stream.Events() {
		r, ok := event.(*types.CodeInterpreterStreamOutputMemberResult)
		switch {
		case !ok: // of a later version of the service
		case res == nil:
			res = &r.Value
		default: // a big result comes in pieces
			res.Content = append(res.Content, r.Value.Content...)
			if r.Value.StructuredContent != nil {
				res.StructuredContent, res.IsError = r.Value.StructuredContent, r.Value.IsError
			}
		}
	}
	switch err := stream.Err(); {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case err != nil && c.old():
		return nil, fmt.Errorf("%s (%w)", c.ended(), failure("InvokeCodeInterpreter", c.interpreter, err))
	case err != nil:
		return nil, failure("InvokeCodeInterpreter", c.interpreter, err)
	case res == nil: // the SDK takes a stream that was cut for one that has ended
		return nil, fmt.Errorf("agentcore: %s: the connection ended before there was a result", tool)
	case aws.ToBool(res.IsError):
		return nil, fmt.Errorf("agentcore: %s failed in the session: %s", tool, tailOf(textOf(res), 600))
	}
	return res, nil
}

// send makes the request once, because what it asks for may not be done twice;
// again only when it was refused because of the rate.
func (c *carrier) send(ctx context.Context, tool types.ToolName, args *types.ToolArguments) (*bedrockagentcore.InvokeCodeInterpreterOutput, error) {
	pause := throttlePause
	for try := 1; ; try++ {
		out, err := c.client.InvokeCodeInterpreter(ctx, &bedrockagentcore.InvokeCodeInterpreterInput{
			CodeInterpreterIdentifier: &c.interpreter, SessionId: &c.id, Name: tool, Arguments: args,
		}, func(o *bedrockagentcore.Options) { o.Retryer = aws.NopRetryer{} })
		if _, slow := errors.AsType[*types.ThrottlingException](err); !slow || try == throttleTries {
			return out, err
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil, context.Cause(ctx)
		}
		pause *= 2
	}
}

func textOf(res *types.CodeInterpreterResult) string {
	var b strings.Builder
	for _, c := range res.Content {
		if c.Text != nil {
			b.WriteString(*c.Text)
		}
	}
	return b.String()
}

func tailOf(s string, n int) string { return s[max(0, len(s)-n):] }
