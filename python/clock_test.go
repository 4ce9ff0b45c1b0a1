package python

import (
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestClock(t *testing.T) {
	tests := []struct {
		name string
		run  func(c *clock)
		burn bool          // processor time passes too
		at   time.Duration // when it fires
		used time.Duration // what it counts until 10 s
	}{
		{"alone", func(*clock) {}, false, 3 * time.Second, 10 * time.Second},
		{"held for 2 s", func(c *clock) {
			time.Sleep(time.Second)
			c.hold()
			c.hold()
			time.Sleep(time.Second)
			c.release()
			time.Sleep(time.Second)
			c.release()
		}, false, 5 * time.Second, 8 * time.Second},
		{"held, but burning", func(c *clock) {
			c.hold()
			time.Sleep(8 * time.Second)
			c.release()
		}, true, 4 * time.Second, 0},
		{"parked", func(c *clock) {
			time.Sleep(time.Second)
			c.hold()
			c.park()
			time.Sleep(5 * time.Second)
			c.unpark()
			c.release()
		}, false, 8 * time.Second, 5 * time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				var fired atomic.Int64
				c := startClock(3*time.Second, func() { fired.Store(int64(time.Since(began))) },
					func() (time.Duration, error) {
						if tt.burn {
							return time.Since(began), nil
						}
						return 0, nil
					})
				tt.run(c)
				time.Sleep(10*time.Second - time.Since(began))
				used := c.stop()
				synctest.Wait()
				if d := time.Duration(fired.Load()) - tt.at; d < 0 || d > time.Second {
					t.Errorf("fired %v after %v", d, tt.at)
				}
				if tt.used > 0 && used != tt.used {
					t.Errorf("counted %v, want %v", used, tt.used)
				}
			})
		})
	}
}

func TestClockWithoutLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := startClock(-1, func() { t.Error("fired") }, nil)
		time.Sleep(time.Hour)
		c.hold()
		time.Sleep(time.Hour)
		c.release()
		if used := c.stop(); used != time.Hour {
			t.Errorf("counted %v", used)
		}
	})
}

func TestPipeConn(t *testing.T) {
	inR, inW := io.Pipe()
	outR, outW := io.Pipe()
	expired := make(chan struct{})
	c := newPipeConn(inR, outW, func() { close(expired); outR.Close() })
	if c.Pending() {
		t.Error("pending before anything came")
	}
	text := strings.Repeat("0123456789", 100_000) // more than is read ahead
	go func() {
		io.WriteString(inW, text)
		inW.Close()
	}()
	got, err := io.ReadAll(c)
	if err != nil || string(got) != text {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if !c.Pending() {
		t.Error("the end is not pending")
	}
	// Nobody reads: the deadline ends the other side.
	c.SetWriteDeadline(time.Now().Add(time.Millisecond))
	if _, err := c.Write([]byte("x")); err == nil {
		t.Error("a write that nobody takes came to an end")
	}
	<-expired
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if err := c.Close(); err != net.ErrClosed {
		t.Errorf("second Close: %v", err)
	}
}

func TestCapped(t *testing.T) {
	c := newCapped(100)
	for range 100 {
		c.write(strings.Repeat("é", 50))
	}
	text := c.text()
	if !strings.Contains(text, "bytes left out") || strings.ContainsRune(text, '\uFFFD') || len(text) > 1200 {
		t.Errorf("%d bytes: %q", len(text), text)
	}
	whole := newCapped(-1)
	whole.write(text)
	whole.write(text)
	if whole.text() != text+text {
		t.Error("without a limit something was cut")
	}
}
