package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"time"

	"github.com/strandsgo/strands"
	"github.com/strandsgo/strands/agentcore"
	"github.com/strandsgo/strands/artifact"
	"github.com/strandsgo/strands/artifact/s3"
	"github.com/strandsgo/strands/codeagent"
	"github.com/strandsgo/strands/python"
)

const purpose = `You are a data analyst. Verify every claim with code, and say which numbers it rests on. ` +
	`Show trends as charts, with axes that are labelled. The user's numbers may lack units: say so, do not invent them.`

// newAgent is the data analyst: Python in a sandbox that stays for the whole
// conversation, pictures and files in a bucket, links by the program.
func newAgent(m strands.Model, where python.Interpreter, pictures *artifact.Keeper) (*strands.Agent, error) {
	return codeagent.New(codeagent.Config{
		Name:         "sales",
		Model:        m,
		SystemPrompt: purpose,
		Toolkits:     []codeagent.Toolkit{codeagent.DataAnalysis, codeagent.Visualization},
		Interpreter:  where,
		KeepState:    true, // what one question computed, the next can use
		Artifacts:    pictures,
		Timeout:      2 * time.Minute,
		Limits:       strands.Limits{Turns: 20},
	})
}

// interpreter is where the model's code runs: a sandbox of this machine, or
// AgentCore Code Interpreter.
func interpreter(name string) (python.Interpreter, error) {
	switch name {
	case "", "sandboxed":
		return &python.Sandboxed{}, nil
	case "agentcore":
		// AWS, or the server in $AWS_ENDPOINT_URL_BEDROCK_AGENTCORE.
		return &agentcore.Interpreter{SessionTimeout: time.Hour}, nil
	}
	return nil, fmt.Errorf("SALES_INTERPRETER is %q; set sandboxed or agentcore", name)
}

// pictures go to the bucket, or to the folder "artifacts". An upload that
// fails ends in the folder too.
func pictures(bucket string) *artifact.Keeper {
	k := &artifact.Keeper{Local: &artifact.Directory{Dir: cmp.Or(os.Getenv("SALES_FOLDER"), "artifacts")}}
	if bucket != "" {
		k.Store = &s3.Bucket{Name: bucket, Prefix: "agent-outputs"}
	}
	return k
}

// checkBucket finds out before the first question whether pictures can be
// stored.
func checkBucket(ctx context.Context, k *artifact.Keeper) error {
	if k.Store == nil {
		return nil
	}
	_, err := k.Store.Put(ctx, "start", strands.Artifact{Name: "check.txt", MIME: "text/plain"}, new(empty))
	return err
}
