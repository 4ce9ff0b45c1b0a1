package mcp

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// Closing that waits for a server is cut short by ending its requests.
func TestGoodbyeEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		requests, drop := context.WithCancel(t.Context())
		w := &wire{drop: drop}
		begin := time.Now()
		err := w.part(func() error {
			select {
			case <-requests.Done():
			case <-time.After(time.Minute):
			}
			return nil
		})
		if took := time.Since(begin); err != nil || took != goodbye {
			t.Errorf("took %v: %v", took, err)
		}
	})
}
