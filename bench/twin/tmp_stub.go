package main

import (
	"context"

	"github.com/strandsgo/strands/bench/twin/suite"
	"github.com/strandsgo/strands/python"
)

func (o *options) openFolder(context.Context, python.Interpreter) (*suite.Suite, error) { return nil, nil }
