package agentcore

import (
	"math"
	"sync"
	"time"
)

// Prices are what AWS asks for, in US dollars.
type Prices struct {
	VCPUHour float64 // of active processor time; waiting is free
	GBHour   float64 // of peak memory
}

// ListPrices are those of AgentCore Runtime, Browser and Code Interpreter in
// November 2026; see https://aws.amazon.com/bedrock/agentcore/pricing/.
var ListPrices = Prices{VCPUHour: 0.0895, GBHour: 0.00945}

// Usage is what a run has used.
type Usage struct {
	CPU      time.Duration // processor time of all cores together
	Memory   int64         // bytes at the peak
	Duration time.Duration // from start to stop
}

// Measured is the usage of an execution that keeps vcpus busy for all of d but
// the share wait (0 to 1), in which it waits for something, and has memory
// bytes at the peak.
func Measured(vcpus float64, memory int64, d time.Duration, wait float64) Usage {
	return Usage{CPU: time.Duration(vcpus * float64(d) * (1 - wait)), Memory: memory, Duration: d}
}

// Estimate is what u costs by ListPrices, in US dollars. Time is billed by the
// second, at least one, and memory while the session lives, by gigabytes of
// 2^30 bytes.
func Estimate(u Usage) float64 { return ListPrices.Estimate(u) }

// Estimate is what u costs by p.
func (p Prices) Estimate(u Usage) float64 {
	seconds := func(d time.Duration) float64 {
		if d <= 0 {
			return 0
		}
		return math.Max(1, math.Ceil(d.Seconds()))
	}
	gb := float64(u.Memory) / (1 << 30)
	return (p.VCPUHour*seconds(u.CPU) + p.GBHour*gb*seconds(u.Duration)) / 3600
}

// meter adds up what the sessions of an Interpreter have used.
type meter struct {
	mu            sync.Mutex
	cpu, duration time.Duration
	byteSeconds   float64
}

func (m *meter) add(u Usage) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.cpu += u.CPU
	m.duration += u.Duration
	m.byteSeconds += float64(u.Memory) * u.Duration.Seconds()
}

// Usage is what the sessions that have ended used together, as measured of
// their workers: the memory is the mean of their peaks, weighted by how long
// they lived. Estimate says what that costs, without the kernels' own share.
func (i *Interpreter) Usage() Usage {
	m := &i.usage
	m.mu.Lock()
	defer m.mu.Unlock()
	u := Usage{CPU: m.cpu, Duration: m.duration}
	if m.duration > 0 {
		u.Memory = int64(m.byteSeconds / m.duration.Seconds())
	}
	return u
}
