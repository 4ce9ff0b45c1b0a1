package command

import (
	"slices"
	"strings"

	"github.com/strandsgo/strands/python"
)

// isolation is the flag --isolation: a level, and words of what is demanded.
type isolation struct {
	level  string // namespaces, filtered or none; "" = the strongest there is
	demand python.Isolation
	text   string
}

var isolationLevels = []string{"namespaces", "filtered", "none"}

func (i *isolation) String() string { return i.text }
func (i *isolation) Type() string   { return "level" }

// Set takes "namespaces", "memory=cgroup", or several with commas.
func (i *isolation) Set(text string) error {
	var n isolation
	for part := range strings.SplitSeq(text, ",") {
		name, value, isWord := strings.Cut(part, "=")
		switch {
		case isWord:
			if err := n.demand.Set(name, value); err != nil {
				return err
			}
		case slices.Contains(isolationLevels, part) && n.level == "":
			n.level = part
		default:
			return usagef("choose %s, and demand words of what doctor prints, like memory=cgroup", orList(isolationLevels))
		}
	}
	if err := n.demand.CheckDemand(); err != nil {
		return err
	}
	if n.level == "none" && text != "none" {
		return usagef("level none has nothing that could be demanded")
	}
	n.text = text
	*i = n
	return nil
}
