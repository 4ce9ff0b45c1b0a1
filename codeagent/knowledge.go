package codeagent

import (
	"context"
	"fmt"

	"github.com/strandsgo/strands/knowledge"
	"github.com/strandsgo/strands/python"
)

// Knowledge offers the bundles in folders as one object, docs, with the
// methods find, read, children, toc and grep. It opens them now, and New
// reports what went wrong. With several folders, ids begin with the name of
// the folder. The bundles stay in this process: code in the REPL only calls
// it, so that they work with any interpreter. What changes in the folders is
// seen within seconds; use KnowledgeOf for a bundle that is searched otherwise.
func Knowledge(folders ...string) Toolkit {
	if len(folders) == 0 {
		return Toolkit{err: fmt.Errorf("codeagent.Knowledge needs the folder of a bundle")}
	}
	var bundles []*knowledge.Bundle
	fail := func(err error) Toolkit {
		for _, b := range bundles {
			b.Close()
		}
		return Toolkit{err: err}
	}
	for _, dir := range folders {
		b, err := knowledge.Open(context.Background(), dir, knowledge.Options{})
		if err != nil {
			return fail(err)
		}
		bundles = append(bundles, b)
		if b.Len() == 0 {
			return fail(fmt.Errorf("there are no concepts in %s; name the folder of a bundle", dir))
		}
	}
	if len(bundles) == 1 {
		return KnowledgeOf(bundles[0])
	}
	l, err := knowledge.NewLibrary(bundles...)
	if err != nil {
		return fail(err)
	}
	return KnowledgeOf(l)
}

// KnowledgeOf offers a *knowledge.Bundle, a *knowledge.Library or another
// source as Knowledge does. It stays the caller's to close.
func KnowledgeOf(src knowledge.Source) Toolkit {
	doc := "Documents to look things up in."
	if p, ok := src.(Provider); ok {
		doc = p.Instructions()
	}
	return Toolkit{Objects: []python.Object{{Name: "docs", Doc: doc, Methods: knowledge.Tools(src)}}}
}
