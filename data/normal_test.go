package data

import "testing"

func TestNormal(t *testing.T) {
	for s, want := range map[string]string{
		"C-001": "c1", "c1": "c1", "00501": "501", "0": "0", "a0b": "a0b", "A 10": "a10", "x000": "x0", "": "", "--": "", "É-07": "é7", "1.50": "150",
	} {
		if got := normal(s); got != want {
			t.Errorf("normal(%q) is %q, want %q", s, got, want)
		}
	}
}
