package openai

import (
	"net/http"
	"testing"

	sdk "github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/responses"
	"github.com/strandsgo/strands/strandstest"
)

func BenchmarkChatCompletions(b *testing.B) {
	strandstest.BenchmarkModel(b, chatSuite(), func(client *http.Client) (string, error) {
		chat := sdk.NewChatCompletionService(option.WithBaseURL("http://model.test/v1"), option.WithHTTPClient(client), option.WithMaxRetries(0))
		stream := chat.NewStreaming(b.Context(), sdk.ChatCompletionNewParams{
			Model: "gpt-5", Messages: []sdk.ChatCompletionMessageParamUnion{sdk.UserMessage("What is 2 ** 10?")},
		})
		defer stream.Close()
		var text []byte
		for stream.Next() {
			if c := stream.Current().Choices; len(c) > 0 {
				text = append(text, c[0].Delta.Content...)
			}
		}
		return string(text), stream.Err()
	})
}

func BenchmarkResponses(b *testing.B) {
	strandstest.BenchmarkModel(b, responseSuite(), func(client *http.Client) (string, error) {
		service := responses.NewResponseService(option.WithBaseURL("http://model.test/v1"), option.WithHTTPClient(client), option.WithMaxRetries(0))
		stream := service.NewStreaming(b.Context(), responses.ResponseNewParams{
			Model: "gpt-5", Input: responses.ResponseNewParamsInputUnion{OfString: sdk.String("What is 2 ** 10?")},
		})
		defer stream.Close()
		var text []byte
		for stream.Next() {
			if e := stream.Current(); e.Type == "response.output_text.delta" {
				text = append(text, e.Delta...)
			}
		}
		return string(text), stream.Err()
	})
}
