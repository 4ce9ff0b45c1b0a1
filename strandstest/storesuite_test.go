package strandstest_test

import (
	"testing"

	strands "github.com/strandsgo/strands"
	"github.com/strandsgo/strands/strandstest"
)

func TestMemoryStore(t *testing.T) {
	strandstest.TestStore(t, strandstest.StoreSuite{New: func(*testing.T) strands.Store { return strands.NewMemoryStore() }})
}
