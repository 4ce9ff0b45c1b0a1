package strandstest

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	strands "github.com/strandsgo/strands"
)

// The reference provider speaks a protocol of JSON lines: chunks as they are,
// the last one with the reply.

type lineModel struct {
	at    Endpoint
	fault string // what it does wrong
}

func (m *lineModel) Describe() strands.ModelInfo {
	return strands.ModelInfo{Provider: "lines", ID: "one"}
}

func (m *lineModel) Generate(ctx context.Context, req *strands.Request) iter.Seq2[strands.Chunk, error] {
	if m.fault == "eager" {
		m.post(ctx, req)
	}
	return func(yield func(strands.Chunk, error) bool) {
		if err := m.run(ctx, req, yield); err != nil {
			yield(strands.Chunk{}, err)
			if m.fault == "goes on after an error" {
				yield(strands.Chunk{}, err)
			}
		}
	}
}

func (m *lineModel) wrong(kind strands.ModelErrorKind, status int, err error) error {
	return &strands.ModelError{Kind: kind, Provider: "lines", Model: "one", Status: status, Message: err.Error(), Err: err}
}

func (m *lineModel) run(caller context.Context, req *strands.Request, yield func(strands.Chunk, error) bool) error {
	if m.fault == "changes the request" {
		req.Messages[0].Parts[0].Text += "!"
	}
	for _, msg := range req.Messages {
		for _, p := range msg.Parts {
			if m.fault != "sends what cannot work" && (p.Image != nil || p.Document != nil || p.Video != nil || p.Guard != nil) ||
				p.ToolResult != nil && len(p.ToolResult.Parts) > 1 && p.ToolResult.Parts[1].Image != nil {
				return m.wrong(strands.ModelBadRequest, 0, errors.New("no media"))
			}
		}
	}
	ctx, cancel := context.WithCancel(caller)
	defer func() {
		if m.fault != "leaves the connection" {
			cancel()
		}
	}()
	if m.fault == "forgets the context" {
		ctx = context.WithoutCancel(ctx)
	}
	var timer *time.Timer
	if m.fault != "waits for ever" {
		timer = time.AfterFunc(m.at.IdleTimeout, cancel)
		defer timer.Stop()
	}
	resp, err := m.post(ctx, req)
	if m.fault == "repeats by itself" && (err != nil || resp.StatusCode >= 400) {
		resp, err = m.post(ctx, req)
	}
	if err != nil {
		return cmp.Or(caller.Err(), m.wrong(strands.ModelTransient, 0, err))
	}
	if m.fault != "leaves the connection" {
		defer resp.Body.Close()
	}
	if resp.StatusCode >= 400 {
		return m.refused(resp)
	}
	return m.read(caller, resp.Body, timer, yield)
}

func (m *lineModel) refused(resp *http.Response) error {
	var e strands.ModelError
	body, _ := io.ReadAll(resp.Body)
	if json.Unmarshal(body, &e) != nil || e.Message == "" {
		kinds := map[int]strands.ModelErrorKind{401: strands.ModelAuth, 404: strands.ModelNotFound}
		return m.wrong(cmp.Or(kinds[resp.StatusCode], strands.ModelTransient), resp.StatusCode, errors.New("refused"))
	}
	e.Provider, e.Status, e.Err = "lines", resp.StatusCode, errors.New(e.Message)
	if m.fault == "forgets RetryAfter" {
		e.RetryAfter = 0
	}
	if m.fault == "confuses errors" {
		e.Kind = strands.ModelBadRequest
	}
	return &e
}

func (m *lineModel) post(ctx context.Context, req *strands.Request) (*http.Response, error) {
	b, err := json.Marshal(req)
	if err != nil {
		return nil, err
	}
	if m.fault == "is not byte-stable" {
		b = fmt.Appendf(bytes.TrimSuffix(b, []byte("}")), `,"time":%d}`, time.Now().UnixNano()+int64(os.Getpid()))
		time.Sleep(time.Millisecond)
	}
	r, err := http.NewRequestWithContext(ctx, "POST", m.at.URL, bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	return m.at.Client.Do(r)
}

func (m *lineModel) read(ctx context.Context, body io.Reader, timer *time.Timer, yield func(strands.Chunk, error) bool) error {
	lines := bufio.NewReader(body)
	for {
		if timer != nil {
			timer.Reset(m.at.IdleTimeout)
		}
		line, err := lines.ReadBytes('\n')
		if timer != nil && m.fault != "counts the consumer's time" {
			timer.Stop()
		}
		var c struct {
			strands.Chunk
			Error *strands.ModelError
		}
		switch {
		case err == io.EOF && m.fault == "takes half a stream":
			yield(strands.Chunk{Reply: &strands.Reply{Message: strands.AssistantMessage()}}, nil)
			return nil
		case err != nil:
			return cmp.Or(ctx.Err(), m.wrong(strands.ModelTransient, 0, err))
		}
		if err := json.Unmarshal(line, &c); err != nil {
			return m.wrong(strands.ModelTransient, 0, err)
		}
		if c.Error != nil {
			return m.wrong(c.Error.Kind, 0, errors.New(c.Error.Message))
		}
		if c.Reply != nil && m.fault == "loses usage" {
			c.Reply.Usage.CacheRead = 0
		}
		if c.Delta != nil && m.fault == "drops deltas" {
			continue
		}
		if c.Chunk == (strands.Chunk{}) {
			return m.wrong(strands.ModelTransient, 0, errors.New("an empty line"))
		}
		if !yield(c.Chunk, nil) || c.Reply != nil {
			return nil
		}
	}
}

func playLines(a Answer) Wire {
	var w Wire
	line := func(v any) {
		b, err := json.Marshal(v)
		if err != nil {
			panic(err)
		}
		w.Frames = append(w.Frames, append(b, '\n'))
	}
	for i, p := range a.Parts {
		switch {
		case p.ToolCall != nil:
			line(strands.Chunk{Delta: &strands.Delta{Block: i, ToolCall: &strands.ToolCallDelta{
				ID: p.ToolCall.ID, Name: p.ToolCall.Name, Input: string(p.ToolCall.Input),
			}}})
		default:
			for _, s := range a.Pieces(p.Text) {
				line(strands.Chunk{Delta: &strands.Delta{Block: i, Text: s}})
			}
		}
	}
	if a.Error != nil && w.Frames != nil {
		line(map[string]any{"Error": a.Error})
		return w
	}
	if a.Error != nil {
		w.Status = 500
		line(a.Error)
		return w
	}
	line(strands.Chunk{Reply: &strands.Reply{
		Message: strands.AssistantMessage(a.Parts...), StopReason: a.StopReason, Usage: a.Usage, Model: a.Model,
	}})
	return w
}

func lineSuite(fault string) ModelSuite {
	return ModelSuite{
		New:  func(t *testing.T, at Endpoint) strands.Model { return &lineModel{at, fault} },
		Play: playLines, Broken: []byte("{\"Delta\":\n"),
		Lacks: []Feature{
			Reasoning, Signatures, Redacted, Images, ImageURLs, ToolImages, ReplyImages, Documents, Videos, Guards, BrokenInputs,
		},
	}
}

func TestSuitePasses(t *testing.T) { TestModel(t, lineSuite("")) }

// TestSuiteFinds runs the suite, in a process of its own, on models that each
// do one thing wrong.
func TestSuiteFinds(t *testing.T) {
	if fault := os.Getenv("STRANDSTEST_FAULT"); fault != "" {
		TestModel(t, lineSuite(fault))
		return
	}
	for _, fault := range []string{
		"eager", "goes on after an error", "changes the request", "forgets the context", "waits for ever",
		"repeats by itself", "leaves the connection", "forgets RetryAfter", "confuses errors", "is not byte-stable",
		"counts the consumer's time", "takes half a stream", "loses usage", "drops deltas", "sends what cannot work",
	} {
		t.Run(fault, func(t *testing.T) {
			cmd := exec.Command(os.Args[0], "-test.run=^TestSuiteFinds$", "-test.timeout=30s")
			cmd.Env = append(os.Environ(), "STRANDSTEST_FAULT="+fault)
			out, err := cmd.CombinedOutput()
			if err == nil {
				t.Errorf("the suite passes a model that %s", fault)
			}
			if strings.Contains(string(out), "test timed out") {
				t.Errorf("the suite hangs:\n%.2000s", out)
			}
		})
	}
}

// pupil knows the answers of TestModelBasics.
type pupil struct{}

func (pupil) Generate(ctx context.Context, req *strands.Request) iter.Seq2[strands.Chunk, error] {
	return func(yield func(strands.Chunk, error) bool) {
		last := req.Messages[len(req.Messages)-1]
		delta, stop := strands.Delta{Text: "1024"}, strands.StopEndTurn
		switch {
		case len(last.ToolResults()) > 0:
			delta.Text = "It is " + last.ToolResults()[0].Text()
		case len(req.Tools) > 0:
			delta = strands.Delta{ToolCall: &strands.ToolCallDelta{ID: "1", Name: "oracle", Input: `{"key":"tea"}`}}
			stop = strands.StopToolUse
		}
		if !yield(strands.Chunk{Delta: &delta}, nil) {
			return
		}
		if ctx.Err() != nil {
			yield(strands.Chunk{}, ctx.Err())
			return
		}
		var acc strands.Accumulator
		acc.Add(&delta)
		yield(strands.Chunk{Reply: &strands.Reply{
			Message: acc.Message(), StopReason: stop, Usage: strands.Usage{Input: 1, Output: 1}, Model: "pupil",
		}}, nil)
	}
}

func TestBasicsPass(t *testing.T) { TestModelBasics(t, pupil{}) }
