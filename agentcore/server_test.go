package agentcore_test

import (
	"context"
	"net/http/httptest"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/bedrockagentcore"
	"github.com/aws/aws-sdk-go-v2/service/bedrockagentcore/types"

	"github.com/strandsgo/strands/agentcore"
	_ "github.com/strandsgo/strands/python/embedded"
)

func interpreterServer(t *testing.T, cfg agentcore.ServerConfig) *httptest.Server {
	t.Helper()
	s, err := agentcore.NewServer(cfg)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(s)
	t.Cleanup(func() {
		server.Close()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return server
}

func awsClient(server *httptest.Server) *bedrockagentcore.Client {
	return bedrockagentcore.New(bedrockagentcore.Options{
		Region: "us-west-2", BaseEndpoint: aws.String(server.URL),
		Credentials: credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "secret", ""),
	})
}

func TestServerRunsPython(t *testing.T) {
	ctx := t.Context()
	client := awsClient(interpreterServer(t, agentcore.ServerConfig{}))
	started, err := client.StartCodeInterpreterSession(ctx, &bedrockagentcore.StartCodeInterpreterSessionInput{
		CodeInterpreterIdentifier: aws.String(agentcore.SystemInterpreter),
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct{ code, stdout string }{{"x = 41", ""}, {"print(x + 1)", "42"}} {
		res := invoke(ctx, t, client, *started.SessionId, types.ToolNameExecuteCode, &types.ToolArguments{Code: aws.String(step.code)})
		if got := aws.ToString(res.StructuredContent.Stdout); got != step.stdout || aws.ToBool(res.IsError) {
			t.Errorf("%s: stdout %q, error %v", step.code, got, *res.IsError)
		}
	}
	if _, err := client.StopCodeInterpreterSession(ctx, &bedrockagentcore.StopCodeInterpreterSessionInput{
		CodeInterpreterIdentifier: aws.String(agentcore.SystemInterpreter), SessionId: started.SessionId,
	}); err != nil {
		t.Fatal(err)
	}
}

// invoke returns the one result of a call.
func invoke(ctx context.Context, t *testing.T, client *bedrockagentcore.Client, session string, tool types.ToolName, args *types.ToolArguments) *types.CodeInterpreterResult {
	t.Helper()
	out, err := client.InvokeCodeInterpreter(ctx, &bedrockagentcore.InvokeCodeInterpreterInput{
		CodeInterpreterIdentifier: aws.String(agentcore.SystemInterpreter), SessionId: aws.String(session), Name: tool, Arguments: args,
	})
	if err != nil {
		t.Fatal(err)
	}
	stream := out.GetStream()
	defer stream.Close()
	var res *types.CodeInterpreterResult
	for event := range stream.Events() {
		result, ok := event.(*types.CodeInterpreterStreamOutputMemberResult)
		if !ok || res != nil {
			t.Fatalf("an event too many, or another one: %T", event)
		}
		res = &result.Value
	}
	if err := stream.Err(); err != nil {
		t.Fatal(err)
	}
	if res == nil {
		t.Fatal("no result")
	}
	return res
}
