package python

import (
	"encoding/json"

	"github.com/strandsgo/strands"
)

// MarshalJSON implements json.Marshaler: stdout, stderr, value, error, images,
// state_lost and duration_ms, and what else there is. An image with a URI is
// written as {"mime","path"}; a program that saves the pictures puts the path
// there. One without carries its data.
func (r Result) MarshalJSON() ([]byte, error) {
	type image struct {
		MIME string `json:"mime"`
		Path string `json:"path,omitempty"`
		Data []byte `json:"data,omitempty"`
	}
	images := []image{}
	for _, m := range r.Images {
		images = append(images, image{m.MIME, m.URI, m.Data})
	}
	return json.Marshal(struct {
		Stdout     string         `json:"stdout"`
		Stderr     string         `json:"stderr"`
		Value      string         `json:"value"`
		Error      *Exception     `json:"error"`
		Images     []image        `json:"images"`
		Files      []strands.File `json:"files,omitempty"`
		StateLost  bool           `json:"state_lost"`
		Lost       string         `json:"lost,omitempty"`
		FullOutput string         `json:"full_output,omitempty"`
		HostCalls  int            `json:"host_calls,omitempty"`
		Undone     *Undone        `json:"undone,omitempty"`
		Warnings   []string       `json:"warnings,omitempty"`
		Duration   float64        `json:"duration_ms"`
	}{
		r.Stdout, r.Stderr, r.Value, r.Err, images, r.Files, r.StateLost, r.Lost, r.FullOutput, r.HostCalls, r.Undone, r.Warnings,
		float64(r.Duration.Microseconds()) / 1000,
	})
}
