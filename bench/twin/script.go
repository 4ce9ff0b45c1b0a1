package main

import (
	"os"
	"path/filepath"

	"github.com/strandsgo/strands"
	"github.com/strandsgo/strands/bench/twin/suite"
	"github.com/strandsgo/strands/strandstest"
)

// scripted begins the name of a model that says what is in files:
// FOLDER/<task>/<arm>.yaml, as strandstest.LoadScript reads them.
const scripted = "script:"

// scripts is the model of a folder of scripts.
func scripts(dir string) func(arm string, t suite.Task) (strands.Model, error) {
	return func(arm string, t suite.Task) (strands.Model, error) {
		return strandstest.LoadScript(filepath.Join(dir, filepath.FromSlash(t.ID), arm+".yaml"))
	}
}

// has says whether a folder of scripts or recordings has one of a task.
func has(dir, id string) bool {
	info, err := os.Stat(filepath.Join(dir, filepath.FromSlash(id)))
	return err == nil && info.IsDir()
}
