package main

import (
	"context"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// flushPeriod is how long an ack waits for others.
const flushPeriod = 2 * time.Millisecond

// acks joins the acks of a channel: one for each run of deliveries without gaps.
// A run of 1 is one ack for each delivery, at once.
type acks struct {
	ch  *amqp.Channel
	run int

	mu sync.Mutex // guards the rest
	// finished marks tags from next on, at their remainders.
	finished []bool
	// next is the first tag that is not finished, sent the last that was settled.
	next, sent uint64
}

func newAcks(ch *amqp.Channel, run, prefetch int) *acks {
	return &acks{ch: ch, run: run, finished: make([]bool, prefetch), next: 1}
}

// done settles a delivery, with others later.
func (a *acks) done(tag uint64) error {
	if a.run <= 1 {
		return a.ch.Ack(tag, false)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	size := uint64(len(a.finished))
	a.finished[tag%size] = true
	for a.finished[a.next%size] {
		a.finished[a.next%size] = false
		a.next++
	}
	if a.next-1-a.sent < uint64(a.run) {
		return nil
	}
	return a.send()
}

// flush settles what is finished.
func (a *acks) flush() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.send()
}

// send needs mu.
func (a *acks) send() error {
	if a.next-1 == a.sent {
		return nil
	}
	a.sent = a.next - 1
	return a.ch.Ack(a.sent, true)
}

// tick flushes now and then, until ctx ends.
func (a *acks) tick(ctx context.Context) {
	if a.run <= 1 {
		return
	}
	ticker := time.NewTicker(flushPeriod)
	defer ticker.Stop()
	for ctx.Err() == nil {
		<-ticker.C
		_ = a.flush() // A channel that is gone ends the workers, who tell.
	}
}
