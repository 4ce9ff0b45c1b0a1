package strandstest

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	strands "github.com/strandsgo/strands"
)

// tinyPNG is a picture of one pixel.
var tinyPNG, _ = base64.StdEncoding.DecodeString(
	"iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==")

// question is a request, what it needs of the protocol, and what the server
// must have been sent, wherever in the body that is.
type question struct {
	req   *strands.Request
	needs []Feature
	sent  []string
}

func conversation(messages ...strands.Message) *strands.Request {
	return &strands.Request{
		System:   []strands.Part{strands.Text("You are a careful analyst.")},
		Messages: messages, Tools: withTools().Tools,
	}
}

func resultPart(id string, failed bool, parts ...strands.Part) strands.Part {
	return strands.Part{ToolResult: &strands.ToolResult{CallID: id, IsError: failed, Parts: parts}}
}

// questions are requests with all that a history can hold.
func (s *ModelSuite) questions() map[string]question {
	user, model := strands.UserMessage, strands.AssistantMessage
	picture := strands.Part{Image: &strands.Media{MIME: "image/png", Data: tinyPNG}}
	pixels := base64.StdEncoding.EncodeToString(tinyPNG)
	compute := callPart("call_1", "python_repl", `{"code":"2 ** 10"}`)
	all := map[string]question{
		"text": {req: &strands.Request{
			System: []strands.Part{strands.Text("You are a careful analyst."), {CachePoint: &strands.CachePoint{}}, strands.Text("Be brief.")},
			Messages: []strands.Message{
				user(strands.Text("What is 2 ** 10?")), model(strands.Text("1024.")), user(strands.Text("And doubled?"), strands.Text("Just the number.")),
			},
		}, sent: []string{"careful analyst", "Be brief", "1024.", "And doubled?", "Just the number."}},
		"tools": {req: conversation(
			user(strands.Text("Compute.")),
			model(strands.Text("I compute. "), compute, callPart("call_2", "now", `{}`)),
			user(resultPart("call_1", false, strands.Text("1024"), strands.Part{JSON: json.RawMessage(`{"seconds":0.25}`)}),
				resultPart("call_2", true, strands.Text("the clock has stopped"))),
			model(strands.Text("Done.")), user(strands.Text("Thanks.")),
		), sent: []string{"python_repl", "2 ** 10", "the clock has stopped", "seconds", "The code."}},
		"no results": {req: conversation(
			user(strands.Text("Compute.")), model(compute), user(resultPart("call_1", false)), model(), user(strands.Text("So?")),
		), sent: []string{"2 ** 10"}},
		"broken call": {req: conversation(
			user(strands.Text("Compute.")), model(callPart("call_1", "python_repl", `{"_invalid_json":"{\"code\": oops"}`)),
			user(resultPart("call_1", true, strands.Text("not valid JSON"))),
		), sent: []string{"oops", "not valid JSON"}},
		"cache points": {req: conversation(
			user(strands.Text("A long document."), strands.Part{CachePoint: &strands.CachePoint{TTL: "1h"}}, strands.Text("A question.")),
			model(strands.Text("An answer."), strands.Part{CachePoint: &strands.CachePoint{}}), user(strands.Part{CachePoint: &strands.CachePoint{}}, strands.Text("More.")),
		), sent: []string{"A long document.", "A question.", "More."}},
		"cited text": {req: conversation(user(strands.Text("Colour?")), model(strands.Part{Cited: &strands.Cited{
			Text: "The grass is green.", Citations: []strands.Citation{{Kind: "char", Title: "Lawns", Start: 3, End: 20, Quotes: []string{"grass is green"}}},
		}}), user(strands.Text("Sure?"))), sent: []string{"The grass is green."}},
		"image": {
			req: conversation(user(strands.Text("What is this?"), picture)), needs: []Feature{Images}, sent: []string{pixels},
		},
		"image by address": {
			req:   conversation(user(strands.Part{Image: &strands.Media{MIME: "image/png", URI: "https://example.com/cat.png"}})),
			needs: []Feature{ImageURLs}, sent: []string{"example.com/cat.png"},
		},
		"image in a result": {req: conversation(
			user(strands.Text("Plot.")), model(compute, callPart("call_2", "now", `{}`)),
			user(resultPart("call_1", false, strands.Text("plotted"), picture), resultPart("call_2", false, strands.Text("noon"))),
		), needs: []Feature{ToolImages}, sent: []string{pixels, "plotted", "noon"}},
		"documents": {req: conversation(user(strands.Text("Compare."),
			strands.Part{Document: &strands.Media{MIME: "application/pdf", Name: "report", Data: []byte("%PDF-1.7 pages")}},
			strands.Part{Document: &strands.Media{MIME: "text/plain", Name: "notes", Context: "Written by hand.", Cite: true, Data: []byte("The grass is green.")}},
		)), needs: []Feature{Documents}, sent: []string{base64.StdEncoding.EncodeToString([]byte("%PDF-1.7 pages"))}},
		"video": {
			req:   conversation(user(strands.Text("Describe."), strands.Part{Video: &strands.Media{MIME: "video/mp4", Data: []byte("moving pictures")}})),
			needs: []Feature{Videos}, sent: []string{base64.StdEncoding.EncodeToString([]byte("moving pictures"))},
		},
		"guard content": {
			req:   conversation(user(strands.Part{Guard: &strands.Guard{Text: "Look at this.", Qualifiers: []string{"query"}}})),
			needs: []Feature{Guards}, sent: []string{"Look at this.", "query"},
		},
	}
	s.addThoughts(all, compute)
	s.addChoices(all)
	return all
}

func (s *ModelSuite) addThoughts(all map[string]question, compute strands.Part) {
	user, model := strands.UserMessage, strands.AssistantMessage
	thought := strands.Reasoning{Text: "I compute it.", Signature: "c2lnbmVkLWJ5LW1l"}
	q := question{req: conversation(
		user(strands.Text("Compute.")), model(strands.Part{Reasoning: &thought}, compute), user(resultPart("call_1", false, strands.Text("1024"))),
	)}
	if s.has(Reasoning) && s.has(Signatures) {
		q.sent = []string{thought.Signature}
	}
	all["reasoning"] = q
	if s.has(Redacted) {
		hidden := strands.Part{Reasoning: &strands.Reasoning{Redacted: []byte("c2VhbGVkIHRob3VnaHRz")}}
		all["redacted reasoning"] = question{req: conversation(
			user(strands.Text("Compute.")), model(hidden, compute), user(resultPart("call_1", false, strands.Text("1024"))),
		)}
	}
}

func (s *ModelSuite) addChoices(all map[string]question) {
	anyTool, oneTool := withTools(), withTools()
	anyTool.ToolChoice.Any = true
	oneTool.ToolChoice.Tool = "now"
	all["any tool"] = question{req: anyTool, needs: []Feature{ToolChoices}}
	all["one tool"] = question{req: oneTool, needs: []Feature{ToolChoices}}
}

func (s *ModelSuite) testRequests(t *testing.T) {
	for name, q := range s.questions() {
		s.scenario(t, name, func(t *testing.T, r *rig) {
			says := strands.Text("1024")
			if q.req.ToolChoice != (strands.ToolChoice{}) {
				says = callPart("call_9", "now", `{}`)
			}
			r.play(whole(s.Play(answer(says))))
			o := r.generate(t.Context(), q.req)
			sent := r.arrived()
			for _, f := range q.needs {
				if s.has(f) {
					continue
				}
				o.modelError(t, strands.ModelBadRequest)
				if len(sent) > 0 {
					t.Error("a request that cannot succeed was sent")
				}
				return
			}
			o.mustReply(t)
			if len(sent) != 1 {
				t.Fatalf("%d requests", len(sent))
			}
			for _, part := range q.sent {
				if !bytes.Contains(sent[0].Body, []byte(part)) {
					t.Errorf("the request does not contain %q:\n%s", part, sent[0].Body)
				}
			}
			s.compareGolden(t, name, sent[0])
		})
	}
	s.testBadMedia(t)
}

// testBadMedia: what no model can see is refused before it is sent.
func (s *ModelSuite) testBadMedia(t *testing.T) {
	for name, p := range map[string]strands.Part{
		"image of an unknown kind":    {Image: &strands.Media{MIME: "image/x-portable-pixmap", Data: []byte("P6")}},
		"document of an unknown kind": {Document: &strands.Media{MIME: "application/x-cad", Name: "house", Data: []byte{0xff, 0xfe}}},
		"image at an unknown place":   {Image: &strands.Media{MIME: "image/png", URI: "ftp://example.com/cat.png"}},
	} {
		s.scenario(t, name, func(t *testing.T, r *rig) {
			r.play(whole(s.Play(answer(strands.Text("1024")))))
			o := r.generate(t.Context(), conversation(strands.UserMessage(p)))
			if me := o.modelError(t, strands.ModelBadRequest); me.Model == "" {
				t.Error("the error does not name the model")
			}
			if len(r.arrived()) > 0 {
				t.Error("a request that cannot succeed was sent")
			}
		})
	}
}

// compareGolden compares a request with its golden file.
func (s *ModelSuite) compareGolden(t *testing.T, name string, got recorded) {
	t.Helper()
	if s.Golden == "" {
		return
	}
	var b bytes.Buffer
	b.WriteString(got.Method + " " + got.Path + "\n")
	if err := json.Indent(&b, got.Body, "", "  "); err != nil {
		t.Fatalf("the request is not JSON: %v", err)
	}
	b.WriteString("\n")
	path := filepath.Join(s.Golden, strings.ReplaceAll(name, " ", "-")+".golden")
	if os.Getenv("STRANDS_UPDATE_GOLDEN") != "" {
		if err := os.MkdirAll(s.Golden, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v (STRANDS_UPDATE_GOLDEN=1 writes it)", err)
	}
	if !bytes.Equal(b.Bytes(), want) {
		t.Errorf("the request is not that of %s:\n%s", path, b.Bytes())
	}
}
