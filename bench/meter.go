package main

import (
	"errors"
	"sync/atomic"
	"time"
)

// meter measures a process between two messages: the one that ends the warm-up
// and the last one.
type meter struct {
	process  atomic.Pointer[process]
	from, to int64
	count    atomic.Int64
	begin    atomic.Pointer[moment]
	end      atomic.Pointer[moment]
	// done is closed at the last message.
	done chan struct{}
}

// moment is what was used until then.
type moment struct {
	at       time.Time
	cpu, own time.Duration
}

func newMeter(warmUp, messages int) *meter {
	return &meter{from: int64(warmUp), to: int64(warmUp + messages), done: make(chan struct{})}
}

// hit counts a message.
func (m *meter) hit() {
	switch m.count.Add(1) {
	case m.from:
		m.begin.Store(m.now())
	case m.to:
		m.end.Store(m.now())
		close(m.done)
	}
}

func (m *meter) now() *moment {
	now := &moment{at: time.Now(), own: ownCPU()}
	if p := m.process.Load(); p != nil {
		now.cpu = p.cpu()
	}
	return now
}

// sample is what one side used in one round. CPU times are those of one message;
// DriverCPU is that of bench itself, which is service and callers.
type sample struct {
	CPU       float64 `json:"cpuMicroseconds"`
	DriverCPU float64 `json:"driverMicroseconds"`
	Rate      float64 `json:"messagesPerSecond"`
	Memory    float64 `json:"peakMemoryMiB"`
	// Of scenarios with callers, or at a fixed rate.
	P50 float64 `json:"p50Milliseconds,omitempty"`
	P99 float64 `json:"p99Milliseconds,omitempty"`
	// Of the gateway, by its own metric.
	OwnP50 float64 `json:"ownP50Microseconds,omitempty"`
	OwnP99 float64 `json:"ownP99Microseconds,omitempty"`
}

var errNoTime = errors.New("the clock of the process tells nothing")

// sample is what was measured, once done.
func (m *meter) sample() (sample, error) {
	begin, end, p := m.begin.Load(), m.end.Load(), m.process.Load()
	if begin.cpu == 0 || end.cpu <= begin.cpu {
		return sample{}, errNoTime
	}
	memory, err := p.peakMemory()
	if err != nil {
		return sample{}, err
	}
	messages := float64(m.to - m.from)
	micros := func(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e3 / messages }
	return sample{
		CPU: micros(end.cpu - begin.cpu), DriverCPU: micros(end.own - begin.own),
		Rate: messages / end.at.Sub(begin.at).Seconds(), Memory: float64(memory) / (1 << 20),
	}, nil
}
