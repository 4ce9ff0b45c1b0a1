// Command invoke asks an agent that runs on AgentCore Runtime, or on this
// machine, a list of questions, in one conversation.
//
//	AGENT_ARN=arn:aws:bedrock-agentcore:… go run ./examples/sales/invoke
//	AGENT_ARN=arn:aws:bedrock-agentcore:us-west-2:123456789012:runtime/sales \
//	  AWS_ENDPOINT_URL_BEDROCK_AGENTCORE=http://127.0.0.1:8080 go run ./examples/sales/invoke "Which product grew most?"
package main

import (
	"bufio"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"os"
	"os/signal"
	"regexp"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/bedrockagentcore"
	"github.com/aws/smithy-go"
)

// placeholder is to be replaced, here or in $AGENT_ARN.
const placeholder = "arn:aws:bedrock-agentcore:us-west-2:YOUR_ACCOUNT_ID:runtime/YOUR_AGENT_ID"

var questions = []string{
	`Analyze the following sales data:
- Product A: [100, 120, 95, 140, 160, 180, 200]
- Product B: [80, 85, 90, 95, 100, 105, 110]
- Product C: [200, 180, 220, 190, 240, 260, 280]
Please visualize the sales trends and calculate growth rates.`,
	`Which product grew most in the last period, by what you have just computed?`,
}

var arnPattern = regexp.MustCompile(`^arn:aws[a-z-]*:bedrock-agentcore:([a-z0-9-]+):\d{12}:runtime/[A-Za-z0-9_-]+$`)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	asked := questions
	if len(os.Args) > 1 {
		asked = os.Args[1:]
	}
	if err := run(ctx, cmp.Or(os.Getenv("AGENT_ARN"), placeholder), asked, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "invoke:", err)
		os.Exit(1)
	}
}

// run asks the questions. One that fails does not keep the others from being
// asked.
func run(ctx context.Context, arn string, questions []string, out io.Writer) error {
	m := arnPattern.FindStringSubmatch(arn)
	switch {
	case strings.Contains(arn, "YOUR_"):
		return errors.New("set AGENT_ARN to the agent's own ARN, which the deployment printed")
	case m == nil:
		return fmt.Errorf("AGENT_ARN %q is no ARN of an agent runtime", arn)
	}
	cfg, err := config.LoadDefaultConfig(ctx, config.WithRegion(m[1]))
	if err != nil {
		return err
	}
	client := bedrockagentcore.NewFromConfig(cfg, func(o *bedrockagentcore.Options) { o.HTTPClient = steady{o.HTTPClient} })
	session := "sales-" + rand.Text() + rand.Text() // at least 33 characters
	failed := 0
	for i, q := range questions {
		fmt.Fprintf(out, "\n%s\nQuestion %d: %s\n%[1]s\n", strings.Repeat("=", 60), i+1, q)
		if err := ask(ctx, client, arn, session, q, out); err != nil {
			failed++
			fmt.Fprintln(out, "Error:", words(err))
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d questions failed", failed, len(questions))
	}
	return nil
}

// steady hides WriteTo of a request's body. The SDK closes the body when the
// answer begins, and net/http, if it is not through with it by then, takes what
// a closed WriteTo says for a broken connection. It happens with an agent on
// this machine (aws/aws-sdk-go-v2#2737).
type steady struct{ bedrockagentcore.HTTPClient }

// Do implements bedrockagentcore.HTTPClient.
func (c steady) Do(r *http.Request) (*http.Response, error) {
	if r.Body == nil || r.Body == http.NoBody {
		return c.HTTPClient.Do(r)
	}
	own := *r
	own.Body = struct{ io.ReadCloser }{r.Body}
	return c.HTTPClient.Do(&own)
}

func ask(ctx context.Context, client *bedrockagentcore.Client, arn, session, question string, out io.Writer) error {
	payload, err := json.Marshal(map[string]string{"prompt": question})
	if err != nil {
		return err
	}
	res, err := client.InvokeAgentRuntime(ctx, &bedrockagentcore.InvokeAgentRuntimeInput{
		AgentRuntimeArn: &arn, Qualifier: aws.String("DEFAULT"), RuntimeSessionId: &session, Payload: payload,
		ContentType: aws.String("application/json"), Accept: aws.String("text/event-stream, application/json"),
	})
	if err != nil {
		return err
	}
	defer res.Response.Close()
	kind, _, err := mime.ParseMediaType(aws.ToString(res.ContentType))
	switch {
	case err == nil && kind == "text/event-stream":
		return stream(res.Response, out)
	case err == nil && kind == "application/json":
		return whole(res.Response, out)
	}
	return fmt.Errorf("the agent answers with %q, which is no answer", aws.ToString(res.ContentType))
}

// whole prints an answer that is one JSON value, a string as a rule.
func whole(body io.Reader, out io.Writer) error {
	b, err := io.ReadAll(body)
	if err != nil {
		return err
	}
	var text string
	if json.Unmarshal(b, &text) != nil {
		text = string(b)
	}
	_, err = fmt.Fprintln(out, text)
	return err
}

// stream prints text as it comes.
func stream(body io.Reader, out io.Writer) error {
	lines := bufio.NewScanner(body)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		data, ok := strings.CutPrefix(lines.Text(), "data: ")
		if !ok {
			continue
		}
		var text string
		if json.Unmarshal([]byte(data), &text) == nil {
			fmt.Fprint(out, text)
			continue
		}
		var failure struct {
			Error string `json:"error"`
			Type  string `json:"error_type"`
		}
		if json.Unmarshal([]byte(data), &failure) == nil && failure.Error != "" {
			return fmt.Errorf("the agent failed: %s (%s)", failure.Error, failure.Type)
		}
		fmt.Fprint(out, data)
	}
	fmt.Fprintln(out)
	return lines.Err()
}

// words are the service's own, where it has said something.
func words(err error) string {
	if e, ok := errors.AsType[smithy.APIError](err); ok {
		return e.ErrorCode() + ": " + e.ErrorMessage()
	}
	return err.Error()
}
