package anthropic

import (
	"net/http"
	"testing"

	sdk "github.com/anthropics/anthropic-sdk-go"
	"github.com/anthropics/anthropic-sdk-go/option"
	"github.com/strandsgo/strands/strandstest"
)

func BenchmarkMessages(b *testing.B) {
	strandstest.BenchmarkModel(b, messageSuite(), func(client *http.Client) (string, error) {
		messages := sdk.NewMessageService(option.WithBaseURL("http://model.test"), option.WithHTTPClient(client), option.WithMaxRetries(0))
		stream := messages.NewStreaming(b.Context(), sdk.MessageNewParams{
			Model: "claude-sonnet-4-5", MaxTokens: 1000, Messages: []sdk.MessageParam{sdk.NewUserMessage(sdk.NewTextBlock("What is 2 ** 10?"))},
		})
		defer stream.Close()
		var text []byte
		for stream.Next() {
			if e := stream.Current(); e.Type == "content_block_delta" {
				text = append(text, e.Delta.Text...)
			}
		}
		return string(text), stream.Err()
	})
}
