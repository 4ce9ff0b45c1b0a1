package command

import (
	"context"
	"errors"
	"fmt"

	"github.com/strandsgo/strands/codeagent"
	"github.com/strandsgo/strands/knowledge"
)

// docsOf opens the bundles in dirs as the object docs; several as one.
func docsOf(ctx context.Context, dirs []string) (kits []codeagent.Toolkit, shut func() error, err error) {
	var bundles []*knowledge.Bundle
	shut = func() error {
		var errs []error
		for _, b := range bundles {
			errs = append(errs, b.Close())
		}
		return errors.Join(errs...)
	}
	for _, dir := range dirs {
		b, err := knowledge.Open(ctx, dir, knowledge.Options{})
		if err == nil {
			bundles = append(bundles, b)
			if b.Len() > 0 {
				continue
			}
			err = fmt.Errorf("there are no concepts in it; make a bundle with codeagent okf build")
		}
		_ = shut()
		return nil, nil, usagef("--docs %s: %w", dir, err)
	}
	switch len(bundles) {
	case 0:
		return nil, shut, nil
	case 1:
		return []codeagent.Toolkit{codeagent.KnowledgeOf(bundles[0])}, shut, nil
	}
	l, err := knowledge.NewLibrary(bundles...)
	if err != nil {
		_ = shut()
		return nil, nil, usagef("--docs: %w; the folders need different names", err)
	}
	return []codeagent.Toolkit{codeagent.KnowledgeOf(l)}, shut, nil
}
