package models

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/strandsgo/strands/strandstest"
)

// TestLive asks real models, when STRANDS_LIVE names them:
//
//	STRANDS_LIVE=openai,ollama/qwen3:8b go test ./models -run Live -v
//
// "all" means everything that Discover finds. What was not asked is logged.
func TestLive(t *testing.T) {
	wanted := strings.FieldsFunc(os.Getenv("STRANDS_LIVE"), func(r rune) bool { return r == ',' || r == ' ' })
	if slices.Contains(wanted, "all") {
		wanted = nil
		for _, c := range Discover(t.Context()) {
			wanted = append(wanted, c.Name)
		}
	}
	for _, p := range providers {
		if !slices.ContainsFunc(wanted, func(w string) bool { return w == p.name || strings.HasPrefix(w, p.name+"/") }) {
			t.Logf("not run: %s (STRANDS_LIVE=%s; it needs %s)", p.name, p.name, p.needs)
		}
	}
	for _, name := range wanted {
		t.Run(name, func(t *testing.T) {
			m, err := Open(t.Context(), name)
			if err != nil {
				t.Fatal(err)
			}
			strandstest.TestModelBasics(t, m)
		})
	}
}
