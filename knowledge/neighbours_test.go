package knowledge

import (
	"slices"
	"strings"
	"testing"
)

// TestNeighbours: every line of the table is found by its first word, lines are
// in order, and each item has a stem and a cosine.
func TestNeighbours(t *testing.T) {
	var keys []string
	for line := range strings.Lines(neighboursText) {
		key, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		keys = append(keys, key)
		n := 0
		for near, cosine := range neighbours(key) {
			if n++; near == "" || near == key || cosine < .4 || cosine > 1 {
				t.Fatalf("%s has %q, %v", key, near, cosine)
			}
		}
		if n == 0 || n != len(strings.Fields(rest)) {
			t.Fatalf("%s has %d of %q", key, n, rest)
		}
	}
	if len(keys) < 10_000 || !slices.IsSorted(keys) {
		t.Errorf("%d keys, sorted: %v", len(keys), slices.IsSorted(keys))
	}
	for _, key := range []string{"", "a", "zzzz", "no-such"} {
		for near := range neighbours(key) {
			t.Errorf("%q has %s", key, near)
		}
	}
}
