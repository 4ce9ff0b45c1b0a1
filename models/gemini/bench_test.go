package gemini

import (
	"net/http"
	"testing"

	"github.com/strandsgo/strands/strandstest"
	"google.golang.org/genai"
)

func BenchmarkGenerateContent(b *testing.B) {
	strandstest.BenchmarkModel(b, generateSuite(), func(client *http.Client) (string, error) {
		c, err := genai.NewClient(b.Context(), &genai.ClientConfig{
			Backend: genai.BackendGeminiAPI, APIKey: "key", HTTPClient: client, HTTPOptions: genai.HTTPOptions{BaseURL: "http://model.test"},
		})
		if err != nil {
			return "", err
		}
		var text []byte
		for chunk, err := range c.Models.GenerateContentStream(b.Context(), "gemini-2.5-flash", genai.Text("What is 2 ** 10?"), nil) {
			if err != nil {
				return "", err
			}
			text = append(text, chunk.Text()...)
		}
		return string(text), nil
	})
}
