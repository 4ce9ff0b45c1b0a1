package pyenv

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

var (
	requirementForm = regexp.MustCompile(`^([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)\s*(?:\[([A-Za-z0-9._,\s-]*)\])?\s*(.*)$`)
	versionForm     = regexp.MustCompile(`^(===|~=|==|!=|<=|>=|<|>)\s*([A-Za-z0-9.*+!_-]+)$`)
	markerForm      = regexp.MustCompile(`^[A-Za-z0-9_.'"<>=!~()\s,+*-]+$`)
	separators      = regexp.MustCompile(`[-_.]+`)
)

// requirement is one thing to install, in the form "name[extra]>=1;marker".
type requirement struct {
	name string // normalised: "ruamel-yaml"
	text string // the whole, normalised: equal text is an equal requirement
}

// parseRequirements returns the requirements sorted and without repetition.
func parseRequirements(list []string) ([]requirement, error) {
	var out []requirement
	for _, text := range list {
		r, err := parseRequirement(text)
		if err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	slices.SortFunc(out, func(a, b requirement) int { return strings.Compare(a.text, b.text) })
	return slices.Compact(out), nil
}

// parseRequirement accepts what names a package, and nothing that an installer
// could take for an option, a path or a second requirement.
func parseRequirement(text string) (requirement, error) {
	bad := func(why string) (requirement, error) {
		return requirement{}, fmt.Errorf(`requirement %q: %s; write it as "name", "name>=1.2" or "name[extra]==1.2"`, redact(text), why)
	}
	if strings.ContainsAny(text, "\n\r\x00") {
		return bad("it is more than one line")
	}
	m := requirementForm.FindStringSubmatch(strings.TrimSpace(text))
	if m == nil {
		return bad("it does not begin with a package's name")
	}
	name := strings.ToLower(separators.ReplaceAllString(m[1], "-"))
	full := name + extras(m[2])
	if link, ok := strings.CutPrefix(m[3], "@"); ok {
		if err := checkLink(strings.TrimSpace(link)); err != nil {
			return bad(err.Error())
		}
		return requirement{name, full + " @ " + strings.TrimSpace(link)}, nil
	}
	versions, marker, marked := strings.Cut(m[3], ";")
	if inner, ok := strings.CutPrefix(strings.TrimSpace(versions), "("); ok {
		versions = strings.TrimSuffix(strings.TrimSpace(inner), ")")
	}
	var clauses []string
	for clause := range strings.SplitSeq(versions, ",") {
		if clause = strings.TrimSpace(clause); clause == "" {
			continue
		}
		v := versionForm.FindStringSubmatch(clause)
		if v == nil {
			return bad(fmt.Sprintf("%q is no version", clause))
		}
		clauses = append(clauses, v[1]+v[2])
	}
	slices.Sort(clauses)
	full += strings.Join(slices.Compact(clauses), ",")
	if marker = strings.Join(strings.Fields(marker), " "); marked {
		if !markerForm.MatchString(marker) {
			return bad("what follows the semicolon is no marker")
		}
		full += "; " + marker
	}
	return requirement{name, full}, nil
}

func extras(list string) string {
	var names []string
	for name := range strings.SplitSeq(list, ",") {
		if name = strings.TrimSpace(name); name != "" {
			names = append(names, strings.ToLower(separators.ReplaceAllString(name, "-")))
		}
	}
	if names == nil {
		return ""
	}
	slices.Sort(names)
	return "[" + strings.Join(slices.Compact(names), ",") + "]"
}

// checkLink accepts a link to a wheel. A source archive would run its build
// script; credentials would end up in the names and lines made of it.
func checkLink(link string) error {
	u, err := url.Parse(link)
	switch {
	case err != nil || u.Scheme != "https" && u.Scheme != "http" && u.Scheme != "file":
		return fmt.Errorf("what follows the @ is no https or file address")
	case u.User != nil || u.RawQuery != "":
		return fmt.Errorf("its address carries credentials or a query; put them into PIP_INDEX_URL or a netrc file")
	case !strings.HasSuffix(u.Path, ".whl"):
		return fmt.Errorf("its address is not that of a wheel (.whl)")
	}
	return nil
}

// names lists what the requirements ask for, for a person to read.
func names(list []requirement) string {
	var out []string
	for _, r := range list {
		out = append(out, r.name)
	}
	return strings.Join(slices.Compact(out), ", ")
}

// texts returns the requirements as an installer takes them.
func texts(list []requirement) []string {
	var out []string
	for _, r := range list {
		out = append(out, r.text)
	}
	return out
}

var credentials = regexp.MustCompile(`://[^/@\s]*@`)

// redact takes user names and passwords out of the addresses in text.
func redact(text string) string {
	return credentials.ReplaceAllString(text, "://…@")
}
