package strands

import (
	"fmt"
	"maps"
	"slices"
)

// Plugin is an extension of an agent. New takes them in order: first what Init
// does, then the hooks, then the tools. One may serve several agents; what it
// must remember of a conversation it keeps in the session's values.
type Plugin struct {
	Name  string // required, and the agent's only one of that name
	Hooks []Hooks
	Tools []Tool

	// Init changes the definition of the agent before it is checked. It may
	// write to all fields, but not to what it did not make itself: it appends to
	// lists and adds keys to Values.
	Init func(*Config) error
}

// plug applies the plugins. The lists of cfg are its own already.
func (cfg *Config) plug() error {
	plugins := slices.Clone(cfg.Plugins)
	if len(plugins) > 0 {
		if cfg.Values = maps.Clone(cfg.Values); cfg.Values == nil {
			cfg.Values = map[string]any{}
		}
	}
	taken := map[string]bool{}
	for i, p := range plugins {
		field := fmt.Sprintf("Config.Plugins[%d]", i)
		if p.Name == "" {
			return &InputError{Field: field, Reason: "it needs a name"}
		}
		if taken[p.Name] {
			return &InputError{Field: field, Reason: fmt.Sprintf("there are two plugins named %q", p.Name)}
		}
		taken[p.Name] = true
		if p.Init != nil {
			if err := p.Init(cfg); err != nil {
				return fmt.Errorf("strands: plugin %s: %w", p.Name, err)
			}
		}
		cfg.Hooks = append(cfg.Hooks, p.Hooks...)
		cfg.Tools = append(cfg.Tools, p.Tools...)
	}
	return nil
}
