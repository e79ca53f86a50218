package mq

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// brake stops the handling of a queue's messages while nearly all of them fail for
// good: a wrong rollout would move the whole queue to its dead letters. A message
// that is handled costs it one atomic addition.
type brake struct {
	config func() BrakeConfig
	log    *slog.Logger
	on     prometheus.Gauge
	pulls  prometheus.Counter

	// good counts the messages that did not fail for good.
	good atomic.Uint64
	// pulled is set while nothing but a probe may be handled.
	pulled atomic.Bool

	mu      sync.Mutex // guards the rest
	bad     uint64
	samples []sample
	until   time.Time // the end of the pause
	since   time.Time // when it was pulled
	probing bool
	changed signal
}

// sample is how much was counted at a time.
type sample struct {
	at        time.Time
	good, bad uint64
}

// told is what a message tells the brake.
type told uint8

const (
	nothing told = iota // it was not handled to an end
	failedForGood
	notFailedForGood
)

func newBrake(config func() BrakeConfig, log *slog.Logger, on prometheus.Gauge, pulls prometheus.Counter) *brake {
	return &brake{config: config, log: log, on: on, pulls: pulls, samples: []sample{{at: time.Now()}}}
}

// enter waits while the brake is pulled, until ctx ends: ok is false then. probe
// tells that the message is the one that is tried after a pause. Each enter that
// was ok is followed by a leave.
func (b *brake) enter(ctx context.Context) (probe, ok bool) {
	for b.pulled.Load() {
		changed := b.changed.wait()
		probe, wait := b.try()
		if probe {
			return true, true
		}
		if !sleepUntil(ctx, wait, changed) {
			return false, false
		}
	}
	return false, true
}

// try makes the caller's message the probe when the pause is over. Otherwise it
// tells how long to wait at most; 0 is not at all.
func (b *brake) try() (probe bool, wait time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	left := time.Until(b.until)
	switch {
	case !b.pulled.Load():
		return false, 0
	case b.probing:
		return false, time.Hour // or until it is told what became of it
	case left > 0:
		return false, left
	}
	b.probing = true
	return true, 0
}

// leave tells what became of a message.
func (b *brake) leave(probe bool, v told) {
	if v == notFailedForGood {
		b.good.Add(1)
	}
	if !probe && v != failedForGood {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if probe {
		b.probed(v, b.config())
		return
	}
	if !b.pulled.Load() {
		b.count(b.config())
	}
}

// probed ends the pause, or starts another one. mu is held.
func (b *brake) probed(v told, c BrakeConfig) {
	b.probing = false
	switch {
	case v == failedForGood && c.Pause > 0:
		b.until = time.Now().Add(c.Pause)
	case v != nothing: // or the brake was switched off
		b.release()
	default: // the next one is the probe
	}
	b.changed.broadcast()
}

// release begins to count anew. mu is held.
func (b *brake) release() {
	b.pulled.Store(false)
	b.samples, b.bad = []sample{{at: time.Now(), good: b.good.Load()}}, 0
	b.on.Set(0)
	b.log.Info("the queue's messages are handled again")
}

// longPull is how long the messages that were taken already are held while the brake is
// pulled. Later they wait in their queue, and one at a time is taken for a probe:
// RabbitMQ takes messages back after 30 minutes, counts that on some queues, and drops
// what was counted too often (https://www.rabbitmq.com/docs/consumers#acknowledgement-timeout).
const longPull = 5 * time.Minute

// period tells whether the brake has been pulled for long. ctx ends when that
// changes; leave has to be called then.
func (b *brake) period(parent context.Context) (long bool, ctx context.Context, leave func()) {
	ctx, cancel := context.WithCancel(parent)
	long, _ = b.pulledLong()
	var watching sync.WaitGroup
	watching.Go(func() {
		defer cancel()
		for {
			changed := b.changed.wait()
			now, left := b.pulledLong()
			if now != long || !sleepUntil(ctx, left, changed) {
				return
			}
		}
	})
	return long, ctx, func() { cancel(); watching.Wait() }
}

// pulledLong tells how soon that may change by itself, too.
func (b *brake) pulledLong() (long bool, left time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.pulled.Load() {
		return false, time.Hour
	}
	left = longPull - time.Since(b.since)
	if left <= 0 {
		return true, time.Hour
	}
	return false, left
}

// count counts a message that failed for good and pulls the brake when they are
// nearly all. mu is held.
func (b *brake) count(c BrakeConfig) {
	if c.Pause <= 0 {
		return
	}
	b.bad++
	now := sample{time.Now(), b.good.Load(), b.bad}
	bad, all, within := b.worst(now, c)
	b.remember(now, c.Window)
	if all < uint64(c.MinMessages) || float64(bad) < c.PermanentShare*float64(all) {
		return
	}
	b.until, b.since = now.at.Add(c.Pause), now.at
	b.pulled.Store(true)
	b.changed.broadcast()
	b.on.Set(1)
	b.pulls.Inc()
	b.log.Error("nearly all messages of the queue fail for good; pausing (mq.failure.brake)",
		"failed", bad, "of", all, "within", within.Round(time.Millisecond).String(), "pause", c.Pause.String())
}

// perWindow is how many samples a window has at most.
const perWindow = 20

// shortest is the least part of a window, in samples, that tells something after
// healthier times: a few bad messages in a row do not.
const shortest = 2

// worst counts since the start of the window, or since a sample in it when a larger
// share of at least so many messages failed from there on: what was good before a
// rollout must not hide for a whole window what is bad since.
func (b *brake) worst(now sample, c BrakeConfig) (bad, all uint64, within time.Duration) {
	bad, all, within = now.since(b.then(now, c.Window))
	for _, s := range b.samples {
		part := now.at.Sub(s.at)
		if part >= c.Window || part < c.Window*shortest/perWindow {
			continue
		}
		if partBad, partAll, _ := now.since(s); partAll >= uint64(c.MinMessages) && partBad*all > bad*partAll {
			bad, all, within = partBad, partAll, part
		}
	}
	return bad, all, within
}

// since is what was counted after an earlier sample.
func (s sample) since(then sample) (bad, all uint64, within time.Duration) {
	bad = s.bad - then.bad
	return bad, bad + s.good - then.good, s.at.Sub(then.at)
}

// remember keeps a sample, unless the last one is about as new, and drops those that
// are older than the window, but for one.
func (b *brake) remember(now sample, window time.Duration) {
	if now.at.Sub(b.samples[len(b.samples)-1].at) >= window/perWindow {
		b.samples = append(b.samples, now)
	}
	for len(b.samples) > 1 && now.at.Sub(b.samples[1].at) >= window {
		b.samples = b.samples[1:]
	}
}

// then is how much was counted at the beginning of the window that ends now. Between
// samples, which are made by failures, it takes what was counted for even.
func (b *brake) then(now sample, window time.Duration) sample {
	before, after := b.samples[0], now
	start := now.at.Add(-window)
	for _, s := range b.samples {
		if s.at.After(start) {
			after = s
			break
		}
		before = s
	}
	if before.at.After(start) {
		return before
	}
	part := float64(start.Sub(before.at)) / float64(after.at.Sub(before.at))
	between := func(from, to uint64) uint64 { return from + uint64(part*float64(to-from)) }
	return sample{start, between(before.good, after.good), between(before.bad, after.bad)}
}
