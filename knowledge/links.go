package knowledge

import (
	"bytes"
	"net/url"
	"path"
	"regexp"
	"strings"
)

var (
	// inlineLink matches [text](target) and [text](target "title"); the target
	// may stand in angle brackets. The text may hold one level of brackets.
	inlineLink = regexp.MustCompile(`(!?)\[((?:[^\[\]]|\[[^\[\]]*\])*)\]\(\s*(?:<([^<>]*)>|([^\s()<>]*(?:\([^\s()]*\)[^\s()<>]*)*))(?:\s+(?:"[^"]*"|'[^']*'|\([^()]*\)))?\s*\)`)
	refUse     = regexp.MustCompile(`(!?)\[((?:[^\[\]]|\[[^\[\]]*\])*)\]\[([^\[\]]*)\]`)
	refDef     = regexp.MustCompile(`^ {0,3}\[([^\[\]^][^\[\]]*)\]:\s*(?:<([^<>]*)>|(\S+))`)
	codeSpan   = regexp.MustCompile("`+[^`]*`+")
)

// What is beyond these bounds was not written by hand.
const (
	maxLine  = 64 << 10 // bytes of a line that is looked into
	maxLinks = 20_000   // of a body, and headings
)

// scanBody reads headings and links out of a Markdown body. Code fences and
// code spans hold neither.
func scanBody(id string, body []byte) (headings []heading, links []link, lines int) {
	s := bodyScan{id: id, defs: map[string]string{}}
	for line := range bytes.Lines(body) {
		s.lines++
		s.line(strings.TrimRight(string(line), " \t\r\n"))
	}
	s.resolveRefs()
	return s.headings, s.links, s.lines
}

type bodyScan struct {
	id       string
	lines    int
	fence    string // the run of ` or ~ that closes the open fence; "" outside
	headings []heading
	links    []link
	pending  []link // to is a reference's name
	defs     map[string]string
	seen     map[string]bool
}

func (s *bodyScan) line(text string) {
	trimmed := strings.TrimLeft(text, " ")
	if marker := fenceMarker(trimmed); marker != "" && len(text)-len(trimmed) <= 3 {
		switch {
		case s.fence == "":
			s.fence = marker
		case marker[0] == s.fence[0] && len(marker) >= len(s.fence) && strings.Trim(trimmed, marker[:1]) == "":
			s.fence = ""
		}
		return
	}
	if s.fence != "" {
		return
	}
	if depth := headingDepth(trimmed); depth > 0 && len(text) <= maxLine && len(s.headings) < maxLinks {
		s.headings = append(s.headings, heading{s.lines, depth, strings.TrimSpace(strings.Trim(trimmed, "# "))})
		return
	}
	if !strings.Contains(text, "]") {
		return
	}
	if m := refDef.FindStringSubmatch(text[:min(len(text), maxLine)]); m != nil && len(s.defs) < maxLinks {
		s.defs[strings.ToLower(m[1])] = m[2] + m[3]
		return
	}
	inline, ref := strings.Contains(text, "]("), strings.Contains(text, "][")
	if !inline && !ref || len(text) > maxLine || len(s.links)+len(s.pending) > maxLinks {
		return
	}
	plain := codeSpan.ReplaceAllStringFunc(text, func(c string) string { return strings.Repeat("·", len(c)) })
	for _, m := range inlineLink.FindAllStringSubmatch(plain, -1) {
		if m[1] == "" {
			s.add(m[2], m[3]+m[4], s.under(), s.lines)
		}
	}
	for _, m := range refUse.FindAllStringSubmatch(plain, -1) {
		if m[1] == "" {
			name := m[3]
			if name == "" {
				name = m[2]
			}
			s.pending = append(s.pending, link{to: name, text: m[2], heading: s.under(), line: s.lines})
		}
	}
}

// fenceMarker returns the leading run of three or more backquotes or tildes.
func fenceMarker(line string) string {
	for _, c := range []string{"`", "~"} {
		if n := len(line) - len(strings.TrimLeft(line, c)); n >= 3 {
			return line[:n]
		}
	}
	return ""
}

func headingDepth(line string) int {
	n := len(line) - len(strings.TrimLeft(line, "#"))
	if n < 1 || n > 6 || (len(line) > n && line[n] != ' ' && line[n] != '\t') {
		return 0
	}
	return n
}

func (s *bodyScan) under() string {
	if len(s.headings) == 0 {
		return ""
	}
	return s.headings[len(s.headings)-1].text
}

func (s *bodyScan) resolveRefs() {
	for _, l := range s.pending {
		if target, ok := s.defs[strings.ToLower(l.to)]; ok {
			s.add(l.text, target, l.heading, l.line)
		}
	}
}

func (s *bodyScan) add(text, target, under string, line int) {
	to := resolve(s.id, target)
	if to == "" || to == s.id || s.seen[to] {
		return
	}
	if s.seen == nil {
		s.seen = map[string]bool{}
	}
	s.seen[to] = true
	u := strings.ToLower(under)
	s.links = append(s.links, link{to: to, text: text, heading: under, line: line, child: u == "subsections" || u == "children"})
}

// resolve turns the target of a link in the concept from into an id, or a
// folder with a trailing slash; "" when it points out of the bundle or is no
// link to a concept. "/x" is from the root, anything else from the document.
func resolve(from, target string) string {
	target, _, _ = strings.Cut(target, "#")
	target, err := url.PathUnescape(target)
	if err != nil || target == "" || strings.Contains(target, ":") || strings.Contains(target, "\\") {
		return ""
	}
	folder := strings.HasSuffix(target, "/")
	if !strings.HasPrefix(target, "/") {
		target = path.Join(path.Dir(from), target)
	}
	target = strings.TrimPrefix(path.Clean(target), "/")
	if target == ".." || strings.HasPrefix(target, "../") {
		return ""
	}
	if target == "" || target == "." { // the bundle itself
		return ""
	}
	if folder {
		return target + "/"
	}
	id, isConcept := strings.CutSuffix(target, ".md")
	if !isConcept {
		return ""
	}
	if path.Base(id) == "index" {
		return strings.TrimPrefix(path.Dir(id)+"/", "./")
	}
	if path.Base(id) == "log" || strings.HasPrefix(path.Base(id), ".") { // a hidden file, such as "...md", is no concept
		return ""
	}
	return id
}
