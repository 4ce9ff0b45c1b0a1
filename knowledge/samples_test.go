package knowledge_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/strandsgo/strands/knowledge"
)

func sample(t *testing.T, name string) *knowledge.Bundle {
	t.Helper()
	b, err := knowledge.Open(t.Context(), "testdata/samples/"+name, knowledge.Options{CacheDir: "-", Now: clock})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

// TestSamples: the bundles that the format's authors publish are read whole,
// conform, and have no broken links.
func TestSamples(t *testing.T) {
	for name, concepts := range map[string]int{"acme_retail": 9, "crypto_bitcoin": 9, "ga4": 9, "stackoverflow": 26} {
		t.Run(name, func(t *testing.T) {
			b := sample(t, name)
			if b.Len() != concepts || len(b.Problems()) != 0 {
				t.Errorf("%d concepts, want %d; %v", b.Len(), concepts, b.Problems())
			}
			problems, err := b.Validate(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range problems {
				if !p.Warning || strings.Contains(p.Message, "not in the bundle") {
					t.Error(p)
				}
			}
			toc, err := b.TOC(knowledge.TOCOptions{Depth: 9})
			if err != nil {
				t.Fatal(err)
			}
			listed := 0
			for _, e := range toc.Entries {
				if !strings.HasSuffix(e.ID, "/") {
					listed++
				}
			}
			if listed != concepts {
				t.Errorf("the table of contents has %d concepts", listed)
			}
			for _, c := range b.Concepts() {
				if f, err := b.Find(t.Context(), c.Title, knowledge.FindOptions{}); err != nil || !strings.Contains(ids(f), c.ID) {
					t.Errorf("%q does not find %s: %s, %v", c.Title, c.ID, ids(f), err)
				}
				if _, err := b.Read(c.ID, knowledge.ReadOptions{}); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// TestSampleTrust: what version 0.2 says about computations, trust and life.
func TestSampleTrust(t *testing.T) {
	b := sample(t, "acme_retail")
	r, err := b.Read("metrics/gross-margin-legacy", knowledge.ReadOptions{})
	if err != nil || r.Status != "deprecated" || !strings.Contains(r.String(), "DEPRECATED") {
		t.Errorf("%+v, %v", r, err)
	}
	if c, _ := b.Concept("computations/revenue-ytd"); c == nil || c.Type != "Attested Computation" || c.Trust == knowledge.Unverified {
		t.Errorf("%+v", c)
	}
	f, err := b.Find(t.Context(), "gross margin", knowledge.FindOptions{})
	all := strings.Fields(ids(f))
	if err != nil || slices.Index(all, "metrics/gross-margin") > slices.Index(all, "metrics/gross-margin-legacy") {
		t.Errorf("the deprecated one comes first: %v, %v", all, err)
	}
}

// TestSamplesLicence: what is not ours comes with its licence.
func TestSamplesLicence(t *testing.T) {
	if text, err := os.ReadFile("testdata/samples/LICENSE"); err != nil || !strings.Contains(string(text), "Apache License") {
		t.Error(err)
	}
}
