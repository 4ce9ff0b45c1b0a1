package knowledge_test

import (
	"context"
	"fmt"
	"log"
	"strings"
	"testing/fstest"

	"github.com/strandsgo/strands/knowledge"
)

// handbook stands for a folder on disk.
var handbook = fstest.MapFS{
	"travel.md":        concept("type: Chapter\ntitle: Travel", "Ask first.\n"),
	"travel/trains.md": concept("type: Section\ntitle: Trains\npages: \"12\"", "Second class up to 300 km.\nFirst class beyond.\n"),
	"travel/meals.md":  concept("type: Section\ntitle: Meals\npages: \"13\"", "An allowance of 28 euros abroad.\n"),
}

// Looking something up: find ranks, read shows, children and toc list.
func ExampleBundle() {
	ctx := context.Background()
	b, err := knowledge.OpenFS(ctx, handbook, knowledge.Options{Name: "handbook"}) // knowledge.Open for a folder
	if err != nil {
		log.Fatal(err)
	}
	defer b.Close()

	found, err := b.Find(ctx, "which class may I book for a long distance?", knowledge.FindOptions{Limit: 1})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(found.Results[0].ID, found.Results[0].Pages, found.Results[0].Snippet)

	page, err := b.Read("travel/trains", knowledge.ReadOptions{Lines: [2]int{2, 2}})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(page.Text)

	below, err := b.Children("travel")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(below)
	// Output:
	// travel/trains 12 Second class up to 300 km.
	// First class beyond.
	// First class beyond.
	// Children of "Travel":
	// - travel/meals: Meals
	// - travel/trains: Trains
}

// SynonymSearch is a search backend of one's own. A real one would compute
// vectors in Build and their cosine in Query; see the package embedding.
type SynonymSearch struct {
	Synonyms map[string]string
	texts    map[string]string
}

// Build implements knowledge.SearchIndex.
func (s *SynonymSearch) Build(_ context.Context, concepts []knowledge.Document) error {
	s.texts = map[string]string{}
	for _, c := range concepts {
		body, err := c.Body()
		if err != nil {
			return err
		}
		s.texts[c.ID] = strings.ToLower(c.Title + " " + body)
	}
	return nil
}

// Query implements knowledge.SearchIndex.
func (s *SynonymSearch) Query(_ context.Context, query string, topK int) ([]knowledge.Hit, error) {
	var hits []knowledge.Hit
	for word := range strings.FieldsSeq(strings.ToLower(query)) {
		if synonym := s.Synonyms[word]; synonym != "" {
			word = synonym
		}
		for id, text := range s.texts {
			if len(hits) < topK && strings.Contains(text, word) {
				hits = append(hits, knowledge.Hit{ID: id, Score: 1})
			}
		}
	}
	return hits, nil
}

// A search backend of one's own replaces the keyword index; with Fuse it would
// be merged with it.
func ExampleSearchIndex() {
	ctx := context.Background()
	search := &SynonymSearch{Synonyms: map[string]string{"food": "meals"}}
	b, err := knowledge.OpenFS(ctx, handbook, knowledge.Options{Index: search})
	if err != nil {
		log.Fatal(err)
	}
	defer b.Close()
	found, err := b.Find(ctx, "food", knowledge.FindOptions{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(found.Results[0].ID)
	// Output: travel/meals
}
