package codeagent

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/strandsgo/strands/python"
)

// defaultTimeout is that of python.Options.
const defaultTimeout = 180 * time.Second

// defaultDocLimit is about 10,000 tokens.
const defaultDocLimit = 40_000

// prompt writes the instructions: how the REPL works and how to work with it,
// then what this agent's REPL offers. The same Config gives the same bytes, so
// that providers can cache them.
func (p *plan) prompt(cfg *Config) string {
	var b strings.Builder
	subject := "a calculation or data"
	if p.offers() {
		subject = "a calculation, data or one of the functions below"
	}
	fmt.Fprintf(&b, opening+"\n\nThe session:\n", subject)
	for _, rule := range p.sessionRules(cfg) {
		b.WriteString("- " + rule + "\n")
	}
	b.WriteString("\nHow to work:\n")
	for _, rule := range p.workRules() {
		b.WriteString("- " + rule + "\n")
	}
	if len(p.init) > 0 {
		b.WriteString("\n## Already run\nEach session begins with this code; its names are there for yours.\n")
		b.WriteString(fenced(strings.Join(p.init, "\n")))
	}
	if p.catalogue != nil {
		b.WriteString("\n## Already defined\n" + p.catalogue.section())
	} else if p.docs != "" {
		b.WriteString("\n## Already defined\nUse these without defining or importing them.")
		if modules := p.importable(cfg.Toolkits); modules != "" {
			b.WriteString(" Importing works too: " + modules + ".")
		}
		b.WriteString("\n" + fenced(p.docs))
	}
	for i, notes := 0, usage(cfg.Toolkits); i < len(notes); i++ {
		if i == 0 {
			b.WriteString("\n## Notes\n")
		} else {
			b.WriteByte('\n')
		}
		b.WriteString(notes[i] + "\n")
	}
	return strings.TrimSuffix(b.String(), "\n")
}

const opening = `# Python
You act by writing Python. The tool python_repl runs your code in a live CPython session, like a cell of a notebook. Use it whenever the task needs %s; never guess what code can find out.`

// sessionRules say how the REPL behaves.
func (p *plan) sessionRules(cfg *Config) []string {
	confined := isConfined(cfg.Interpreter)
	life := "Variables, functions and imports stay for your next calls, until the user's next message: then a fresh session begins, with an empty working directory."
	if cfg.NoTempDir {
		life = strings.TrimSuffix(life, ", with an empty working directory.") + "."
	}
	if cfg.KeepState {
		life = "Variables, functions and imports stay for the whole conversation."
	}
	rules := []string{
		life,
		"You see what the code prints, the value of its last expression, and errors. The user sees none of this, only what you write. " +
			"Print what you need and no more (df.head(), len(rows), totals): long output is cut in the middle.",
	}
	if p.draws(confined) {
		rules = append(rules, "Every matplotlib figure that is open when the code ends is captured as a picture for you and the user, then closed.")
	}
	if !cfg.NoTempDir {
		rules = append(rules, `The working directory is a folder of your own. Read and write there with relative paths ("report.csv"); files you write are handed to the user.`)
	}
	rules = append(rules, givenRules(cfg)...)
	if confined {
		rules = append(rules, "There is no network, no shell, no pip and no input().")
		rules = append(rules, "You can import "+p.importRule()+". Other imports are refused.")
	} else {
		rules = append(rules, "You can import what is installed. Install nothing, and do not call input().")
	}
	if limit := cfg.Timeout; limit >= 0 {
		if limit == 0 {
			limit = defaultTimeout
		}
		rules = append(rules, fmt.Sprintf("A call is stopped after %s; what was defined until then stays.", spoken(limit)))
	}
	return rules
}

// workRules say what makes a good snippet.
func (p *plan) workRules() []string {
	rules := []string{
		"Look at data before you compute with it: columns, types, a few rows, missing values.",
		"Do in one call all that you can foresee: several steps, loops, checks. Keep data in variables, and never copy it into code by hand.",
		"After an error read the traceback and mend only what failed. What was set before is still there; the same code again will fail again.",
	}
	if p.offers() {
		rules = append(rules, "Prefer the functions below to code of your own. Pass arguments by name. They raise exceptions when they fail: do not invent what they should have returned.")
		if len(p.options.Namespaces) > 0 {
			rules = append(rules, "Run slow ones side by side: await asyncio.gather(f.aio(x=1), f.aio(x=2)). The await needs no function around it.")
		}
	}
	return append(rules,
		"State only figures that your code computed. As soon as you know the answer stop calling the tool and write it: short and exact, with units.")
}

// offers says whether there are functions, objects or modules.
func (p *plan) offers() bool { return len(p.options.Namespaces)+len(p.modules) > 0 }

// importRule lists what the guard lets through.
func (p *plan) importRule() string {
	standard := "these modules of the standard library: " + packages(python.HarmlessLibraries)
	switch {
	case slices.Contains(p.imports, "*"):
		return "every installed module"
	case len(p.imports) == 0:
		return standard
	}
	return packages(p.imports) + " and " + standard
}

// packages lists patterns as a person would.
func packages(patterns []string) string {
	return strings.ReplaceAll(strings.Join(patterns, ", "), ".*", "")
}

// draws says whether code can use matplotlib.
func (p *plan) draws(confined bool) bool {
	return !confined || covered("matplotlib", p.options.Libraries)
}

// documentation is the Python stubs of all functions, objects and modules.
func (p *plan) documentation(toolkits []Toolkit) string {
	var parts []string
	modules := p.modules
	for _, t := range toolkits {
		if len(t.Functions)+len(t.Objects) > 0 {
			parts = append(parts, titled(t.Name, python.Stub(t.namespace())))
		}
		for range t.Modules {
			parts = append(parts, titled(modules[0].name, modules[0].stub()))
			modules = modules[1:]
		}
	}
	return strings.Join(parts, "\n\n")
}

func titled(module, stub string) string {
	if module == "" {
		return stub
	}
	return "# module " + module + "\n" + stub
}

// importable gives one example of an import, with a real name.
func (p *plan) importable(toolkits []Toolkit) string {
	for _, t := range toolkits {
		if t.Name != "" && len(t.Functions) > 0 {
			return "from " + t.Name + " import " + stubNames(t.namespace())[0].Name
		}
	}
	for _, m := range p.modules {
		if decls := m.public(); len(decls) > 0 {
			return "from " + m.name + " import " + decls[0].Name
		}
	}
	return ""
}

func usage(toolkits []Toolkit) []string {
	var notes []string
	for _, t := range toolkits {
		if note := strings.Trim(t.UsageInstructions, "\n"); note != "" {
			notes = append(notes, note)
		}
	}
	return notes
}

// fenced puts code into a fence longer than any in it.
func fenced(code string) string {
	fence := "```"
	for strings.Contains(code, fence) {
		fence += "`"
	}
	return fence + "python\n" + code + "\n" + fence + "\n"
}

// spoken writes a duration as a person would: "3 minutes", "90 seconds".
func spoken(d time.Duration) string {
	switch {
	case d >= 2*time.Minute && d%time.Minute == 0:
		return fmt.Sprintf("%d minutes", d/time.Minute)
	case d == time.Second:
		return "1 second"
	case d%time.Second == 0:
		return fmt.Sprintf("%d seconds", d/time.Second)
	}
	return d.String()
}

// isConfined says whether i has the import guard and no network. A foreign
// backend has them unless its method Unguarded says otherwise.
func isConfined(i python.Interpreter) bool {
	switch i := i.(type) {
	case *python.Exec:
		return false
	case interface{ Unguarded() bool }:
		return !i.Unguarded()
	}
	return true
}
