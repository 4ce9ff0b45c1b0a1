package knowledge

import (
	"path"
	"strings"
	"time"
)

// Concept is one entry of a bundle without its body. It is immutable.
type Concept struct {
	ID          string   `json:"id"` // path below the root, slashes, without ".md"
	Type        string   `json:"type"`
	Title       string   `json:"title"`
	Description string   `json:"description,omitempty"`
	Tags        []string `json:"tags,omitempty"`
	Resource    string   `json:"resource,omitempty"`
	Status      string   `json:"status,omitempty"` // "draft", "stable", "deprecated"; "" = stable
	Pages       string   `json:"pages,omitempty"`  // of the source document, as its author numbers them
	Trust       Trust    `json:"trust"`
	StaleAfter  string   `json:"staleAfter,omitempty"` // as written; see Stale
	Size        int64    `json:"size"`                 // bytes of the file

	parent   string // as the frontmatter says; "" = by folder
	order    int    // among its siblings, as the frontmatter says; 0 = unknown
	headings []heading
	links    []link
	modTime  int64 // of the file, as changedAt has it
	bodyAt   int   // offset of the body in the file
	lines    int   // of the body
	problems []Problem
}

type heading struct {
	line  int // from 1, of the body
	depth int
	text  string
}

type link struct {
	to      string // id, or a folder with a trailing slash
	text    string
	heading string // under which it stands
	line    int    // of the body, from 1
	child   bool   // under a heading that lists subsections
}

// Trust says who has looked at a concept, by the rules of the format.
type Trust string

// The tiers of trust.
const (
	Unverified       Trust = "unverified"
	MachineConfirmed Trust = "machine-confirmed"
	HumanReviewed    Trust = "human-reviewed"
)

// Stale says whether the concept asked not to be believed any more at now. A
// date without a clock time and offset says nothing.
func (c *Concept) Stale(now time.Time) bool {
	t, err := time.Parse(time.RFC3339, c.StaleAfter)
	return err == nil && !now.Before(t)
}

// notes are what a reader should know before believing the concept.
func (c *Concept) notes(now time.Time) string {
	var n []string
	if c.Status == "deprecated" || c.Status == "draft" {
		n = append(n, strings.ToUpper(c.Status))
	}
	if c.Stale(now) {
		n = append(n, "STALE since "+c.StaleAfter)
	}
	if c.Trust != Unverified {
		n = append(n, string(c.Trust))
	}
	return strings.Join(n, ", ")
}

// tokens estimates what reading the body costs a model: four bytes each.
func (c *Concept) tokens() int { return int(c.Size-int64(c.bodyAt)+3) / 4 }

// titleFromID makes a title of a file name.
func titleFromID(id string) string {
	return strings.ReplaceAll(path.Base(id), "_", " ")
}
