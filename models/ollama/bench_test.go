package ollama

import (
	"bufio"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/strandsgo/strands/strandstest"
)

// BenchmarkChat: here the bare thing is a loop over the lines.
func BenchmarkChat(b *testing.B) {
	strandstest.BenchmarkModel(b, chatSuite(), func(client *http.Client) (string, error) {
		resp, err := client.Post("http://model.test/api/chat", "application/json", strings.NewReader(`{"model":"qwen3"}`))
		if err != nil {
			return "", err
		}
		defer resp.Body.Close()
		var text []byte
		lines := bufio.NewScanner(resp.Body)
		for lines.Scan() {
			var l line
			if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
				return "", err
			}
			text = append(text, l.Message.Content...)
		}
		return string(text), lines.Err()
	})
}
