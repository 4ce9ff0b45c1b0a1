package strands

import (
	"fmt"
	"slices"
	"strings"
)

// toolset is the tools of one moment, in order. It is never changed.
type toolset struct {
	tools []Tool
	specs []ToolSpec
	index map[string]int
}

// newToolset checks the names. Two that differ only by '-' and '_' are taken
// for one: models mix them up.
func newToolset(tools ...Tool) (*toolset, error) {
	ts := &toolset{index: make(map[string]int, len(tools))}
	similar := make(map[string]string, len(tools))
	for _, t := range tools {
		if t == nil {
			return nil, &InputError{Field: "Tools", Reason: "one of them is nil"}
		}
		spec := t.Spec()
		if err := checkToolName(spec.Name); err != nil {
			return nil, &InputError{Field: "Tools", Reason: err.Error()}
		}
		key := strings.ReplaceAll(spec.Name, "-", "_")
		if other, taken := similar[key]; taken {
			reason := fmt.Sprintf("there are two tools named %q", spec.Name)
			if other != spec.Name {
				reason = fmt.Sprintf("the names %q and %q are too similar", other, spec.Name)
			}
			return nil, &InputError{Field: "Tools", Reason: reason}
		}
		similar[key] = spec.Name
		ts.index[spec.Name] = len(ts.tools)
		ts.tools = append(ts.tools, t)
		ts.specs = append(ts.specs, spec)
	}
	return ts, nil
}

func (ts *toolset) find(name string) Tool {
	if i, ok := ts.index[name]; ok {
		return ts.tools[i]
	}
	return nil
}

// findSimilar finds a tool by its name, or by one with '_' for '-', which is
// how a program must write it.
func (ts *toolset) findSimilar(name string) (Tool, string) {
	if t := ts.find(name); t != nil {
		return t, name
	}
	for i, spec := range ts.specs {
		if strings.ReplaceAll(spec.Name, "-", "_") == name {
			return ts.tools[i], spec.Name
		}
	}
	return nil, name
}

func (ts *toolset) without(name string) *toolset {
	i, ok := ts.index[name]
	if !ok {
		return ts
	}
	rest, _ := newToolset(slices.Delete(slices.Clone(ts.tools), i, i+1)...) // a subset is valid
	return rest
}

// with returns ts with more tools.
func (ts *toolset) with(more ...Tool) (*toolset, error) {
	if len(more) == 0 {
		return ts, nil
	}
	return newToolset(append(slices.Clone(ts.tools), more...)...)
}
