package pdf_test

import (
	"bytes"
	"flag"
	"os"
	"testing"
)

var update = flag.Bool("update", false, "write testdata/guide.pdf anew")

// TestGuide: the document of the examples is what this makes.
func TestGuide(t *testing.T) {
	p := &paper{title: "Guide", sheets: []sheet{lines(700, "Travel", "Ask first.", "Meals", "An allowance of 28 euros.", "Trains", "Second class up to 300 km.")}, outline: []mark{
		{title: "Travel", dest: "[P0 /XYZ 0 710 0]", kids: []mark{{title: "Meals", dest: "[P0 /XYZ 0 682 0]"}, {title: "Trains", dest: "[P0 /XYZ 0 654 0]"}}},
	}}
	want := p.bytes()
	if *update {
		if err := os.WriteFile("testdata/guide.pdf", want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile("testdata/guide.pdf"); err != nil || !bytes.Equal(got, want) {
		t.Errorf("testdata/guide.pdf is another document, %v; go test ./knowledge/pdf -run Guide -update", err)
	}
}
