package python

import (
	"context"
	"encoding/binary"
	"strings"
	"testing"

	"github.com/strandsgo/strands"
	"github.com/strandsgo/strands/internal/frame"
)

// TestHeavyCallsWorkOneByOne: arguments that are large once they are read do
// not add up, however many calls may work at once.
func TestHeavyCallsWorkOneByOne(t *testing.T) {
	type in struct {
		V string `json:"v"`
	}
	const heavies = 3
	added := make(chan struct{})
	var s *session
	heavy := strands.NewTool("heavy", "Takes much.", func(context.Context, in) (int, error) {
		<-added
		s.mu.Lock()
		c := s.run.calls
		s.mu.Unlock()
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.working != 1 {
			t.Errorf("%d calls work at once", c.working)
		}
		return c.weight, nil
	})
	s = openFake(t, Options{Namespaces: []Namespace{{Functions: []strands.Tool{heavy}}}}, serve(func(p *fakePeer, id frame.RunID, code string) {
		args := `{"v":"` + strings.Repeat("{", maxWeight/400/2+1) + `"}`
		for n := range heavies {
			head := binary.LittleEndian.AppendUint32(nil, uint32(n))
			p.send(frame.Call, id, string(binary.LittleEndian.AppendUint32(head, 0))+args)
		}
		// This is answered at once, and after those have been taken in.
		ask := binary.LittleEndian.AppendUint32(nil, heavies)
		p.send(frame.Room, id, string(binary.LittleEndian.AppendUint64(ask, 0)))
		for range heavies + 1 {
			_, _, body, err := p.read()
			if err != nil {
				return
			}
			if binary.LittleEndian.Uint32(body) == heavies {
				close(added)
			}
		}
		p.send(frame.Done, id, doneOK)
	}))
	if res := mustExec(t, s, "all"); res.HostCalls != heavies || res.StateLost {
		t.Errorf("%+v", res)
	}
}
