package python

import (
	"github.com/strandsgo/strands/internal/sandbox"
	"github.com/strandsgo/strands/python/worker"
)

func workerCode() sandbox.Worker {
	return sandbox.Worker{Modules: worker.Modules(), Entry: worker.Entry}
}
