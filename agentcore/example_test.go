package agentcore_test

import (
	"fmt"
	"time"

	"github.com/strandsgo/strands"
	"github.com/strandsgo/strands/agentcore"
	"github.com/strandsgo/strands/artifact"
	"github.com/strandsgo/strands/artifact/s3"
	"github.com/strandsgo/strands/codeagent"
	"github.com/strandsgo/strands/strandstest"
)

var model strands.Model = &strandstest.Script{}

func ExampleInterpreter() {
	// Where the code runs: AWS, or the server in
	// $AWS_ENDPOINT_URL_BEDROCK_AGENTCORE.
	interpreter := &agentcore.Interpreter{Region: "us-west-2", SessionTimeout: time.Hour}
	defer interpreter.Close()

	agent, err := codeagent.New(codeagent.Config{
		Model:       model,
		Interpreter: interpreter,
		// Pictures and files go to a bucket, and links into the answer.
		Artifacts: &artifact.Keeper{Store: &s3.Bucket{Name: "my-bucket", Prefix: "agent-outputs"}},
	})
	if err != nil {
		panic(err)
	}
	defer agent.Close()
	// No session is started before the first code runs.
}

func ExampleEstimate() {
	run := agentcore.Measured(2, 4<<30, 2*time.Minute, 0.6) // 2 vCPU, 4 GB, 60 % of the time waiting
	fmt.Printf("one: $%.4f, three: $%.4f\n", agentcore.Estimate(run), 3*agentcore.Estimate(run))
	// Output: one: $0.0036, three: $0.0109
}
