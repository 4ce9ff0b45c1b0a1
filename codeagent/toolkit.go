package codeagent

import (
	"github.com/strandsgo/strands"
	"github.com/strandsgo/strands/python"
)

// Toolkit is what the REPL needs for one domain. Every field may be empty, but
// not all of them. A Toolkit is a value: combine several in Config.Toolkits,
// use one in any number of agents.
type Toolkit struct {
	// Name is the Python module that the functions and objects can be
	// imported from ("from finance import calculate_roi"). They are names of
	// every snippet anyway; "" = they are only that.
	Name string
	// Description is one line about the functions and objects, for the prompt
	// when it has no room for their documentation (Config.DocLimit). "" = it
	// names some of them.
	Description string

	// Libraries are import patterns the model's code may use beside the
	// harmless part of the standard library: "pandas" is exactly that module,
	// "pandas.*" it and all below, "*" everything installed.
	Libraries []string
	// Requirements are what pip would install ("pandas>=2"), made once into
	// an environment at the first run. What they bring can be imported only as
	// far as Libraries allow it.
	Requirements []string
	// Preload are modules to import before sessions are forked, so that they
	// cost a session no time.
	Preload []string

	// InitializationCode runs before the first snippet of each fresh state,
	// after Functions, Objects and Modules are there. The prompt shows it, and
	// what it imports the model may import too.
	InitializationCode string
	// UsageInstructions are put into the prompt as they are.
	UsageInstructions string

	// Functions are tools offered as Python functions, Objects as objects with
	// methods (see python.ObjectOf). Hooks, limits and events see their calls
	// like any other tool call.
	Functions []strands.Tool
	Objects   []python.Object
	// Modules are Python sources, imported before the first snippet. New reads
	// them to document them and does not run them; one that is not valid
	// Python is reported by the first run.
	Modules []python.Module

	err error // why it could not be made; New reports it
}

// Provider is what a package exports to offer its capabilities to the REPL.
type Provider interface {
	Tools() []strands.Tool
	Instructions() string
}

// ToolkitOf makes a toolkit of p: its tools become functions of the Python
// module name ("" = of no module), its instructions the usage instructions.
func ToolkitOf(name string, p Provider) Toolkit {
	return Toolkit{Name: name, Functions: p.Tools(), UsageInstructions: p.Instructions()}
}

// ObjectOf makes a toolkit of p: an object called name, whose methods are the
// tools of p and whose documentation are its instructions. Several providers
// of one kind, such as databases, go into one agent under different names.
func ObjectOf(name string, p Provider) Toolkit {
	return Toolkit{Objects: []python.Object{{Name: name, Doc: p.Instructions(), Methods: p.Tools()}}}
}

// DataAnalysis offers numpy, pandas, scipy and datetime, with np, pd and stats
// bound. With it comes pyarrow, through which tables of Go functions travel.
var DataAnalysis = Toolkit{
	Libraries:    []string{"numpy.*", "pandas.*", "scipy.*", "datetime"},
	Requirements: []string{"numpy", "pandas", "scipy", "pyarrow"},
	Preload:      []string{"numpy", "pyarrow", "pandas", "scipy.stats"},
	InitializationCode: `import datetime
import numpy as np
import pandas as pd
from scipy import stats`,
}

// Visualization offers matplotlib, drawing without a screen, and seaborn, with
// plt and sns bound.
var Visualization = Toolkit{
	Libraries:    []string{"matplotlib.*", "seaborn.*"},
	Requirements: []string{"matplotlib", "seaborn"},
	Preload:      []string{"matplotlib.pyplot", "seaborn"},
	InitializationCode: `import matplotlib
matplotlib.use("Agg")
import matplotlib.pyplot as plt
import seaborn as sns`,
	UsageInstructions: "Charts: give every chart a title, axis labels with units, and a legend when it has more than one series. " +
		"Leave the figure open at the end of the code: it is captured then. There is no screen, so do not call plt.show().",
}

// empty says whether t would change nothing.
func (t *Toolkit) empty() bool {
	lists := len(t.Libraries) + len(t.Requirements) + len(t.Preload) + len(t.Functions) + len(t.Objects) + len(t.Modules)
	return lists == 0 && t.InitializationCode == "" && t.UsageInstructions == ""
}

// namespace is what t offers from Go.
func (t *Toolkit) namespace() python.Namespace {
	return python.Namespace{Module: t.Name, Doc: t.UsageInstructions, Functions: t.Functions, Objects: t.Objects}
}
