package wire

import (
	"encoding/base64"
	"fmt"
	"strings"
	"unicode/utf8"

	strands "github.com/strandsgo/strands"
)

// DataURL is m as a data: address.
func DataURL(m *strands.Media) string {
	return "data:" + m.MIME + ";base64," + base64.StdEncoding.EncodeToString(m.Data)
}

// IsImage says whether mime is one of the four kinds that all models with eyes
// can see.
func IsImage(mime string) bool {
	switch mime {
	case "image/png", "image/jpeg", "image/gif", "image/webp":
		return true
	}
	return false
}

// TextDocument is a document of text as a text with a heading, for providers
// that take no such documents; false when it is none.
func TextDocument(d *strands.Media) (string, bool) {
	if !IsText(d) {
		return "", false
	}
	var b strings.Builder
	b.WriteString("<document")
	if d.Name != "" {
		fmt.Fprintf(&b, " name=%q", d.Name)
	}
	b.WriteString(">\n")
	if d.Context != "" {
		b.WriteString(d.Context + "\n\n")
	}
	b.Write(d.Data)
	b.WriteString("\n</document>")
	return b.String(), true
}

// IsText says whether the bytes of d are text that a model can read as it is.
func IsText(d *strands.Media) bool {
	mime, _, _ := strings.Cut(d.MIME, ";")
	switch mime {
	case "application/json", "application/xml", "application/yaml", "application/x-yaml", "application/javascript":
	default:
		if !strings.HasPrefix(mime, "text/") {
			return false
		}
	}
	return d.Data != nil && utf8.Valid(d.Data)
}

// nameOf names the kind of a part, for errors.
func nameOf(p strands.Part) string {
	switch {
	case p.Reasoning != nil:
		return "reasoning"
	case p.Image != nil:
		return "an image"
	case p.Document != nil:
		return "a document"
	case p.Video != nil:
		return "a video"
	case p.ToolCall != nil:
		return "a tool call"
	case p.ToolResult != nil:
		return "a tool result"
	case p.JSON != nil:
		return "a JSON part outside of a tool result"
	case p.Cited != nil:
		return "cited text"
	case p.Guard != nil:
		return "guard content"
	case p.CachePoint != nil:
		return "a cache point"
	}
	return "text"
}

// heavy is what no provider refuses for its size. The limits above it differ
// by model and change, so that only a refusal tells.
const heavy = 1 << 20

// heaviest finds the largest image, document or video; nil when none is heavy.
func heaviest(req *strands.Request) *strands.Media {
	var most *strands.Media
	var look func([]strands.Part)
	look = func(parts []strands.Part) {
		for _, p := range parts {
			for _, m := range [...]*strands.Media{p.Image, p.Document, p.Video} {
				if m != nil && len(m.Data) > heavy && (most == nil || len(m.Data) > len(most.Data)) {
					most = m
				}
			}
			if p.ToolResult != nil {
				look(p.ToolResult.Parts)
			}
		}
	}
	for _, m := range req.Messages {
		look(m.Parts)
	}
	return most
}

// weigh says which part may be too large, and what to do.
func weigh(m *strands.Media) string {
	name := m.MIME
	if m.Name != "" {
		name = fmt.Sprintf("%q", m.Name)
	}
	return fmt.Sprintf("if the request is too large: %s has %.1f MB; send a smaller one, or its text", name, float64(len(m.Data))/1e6)
}
