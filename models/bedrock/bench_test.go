package bedrock

import (
	"net/http"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/types"
	"github.com/strandsgo/strands/strandstest"
)

func BenchmarkConverseStream(b *testing.B) {
	strandstest.BenchmarkModel(b, streamSuite(), func(client *http.Client) (string, error) {
		cfg := testConfig(strandstest.Endpoint{})
		c := bedrockruntime.NewFromConfig(*cfg.AWS, func(o *bedrockruntime.Options) {
			o.HTTPClient, o.Region, o.BaseEndpoint = client, "eu-central-1", aws.String("http://model.test")
		})
		out, err := c.ConverseStream(b.Context(), &bedrockruntime.ConverseStreamInput{
			ModelId: aws.String(testModel), Messages: []types.Message{{
				Role: types.ConversationRoleUser, Content: []types.ContentBlock{&types.ContentBlockMemberText{Value: "What is 2 ** 10?"}},
			}},
		})
		if err != nil {
			return "", err
		}
		stream := out.GetStream()
		defer stream.Close()
		var text []byte
		for e := range stream.Events() {
			if d, ok := e.(*types.ConverseStreamOutputMemberContentBlockDelta); ok {
				if t, ok := d.Value.Delta.(*types.ContentBlockDeltaMemberText); ok {
					text = append(text, t.Value...)
				}
			}
		}
		return string(text), stream.Err()
	})
}
