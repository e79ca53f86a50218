package mqtest

import (
	"errors"
	"time"

	"mqgateway/internal/mq"
)

// adminRules are for products that tell about queues.
var adminRules = []rule{
	{
		name:    "a queue is looked up",
		explain: "Inspect counts the messages that wait, without those in hand, also with other readers, and is ErrNoQueue for a missing queue, which it does not make",
		needs:   does[mq.Admin],
		check:   queueIsLookedUp,
	},
	{
		name:    "a queue is purged",
		explain: "Purge removes the messages that wait, and returns their number; those in hand stay with who has them, and come again when they are given back; a missing queue is ErrNoQueue",
		needs:   does[mq.Admin],
		check:   queueIsPurged,
	},
	{
		name:    "purging a queue in use is safe",
		explain: "while messages come and are read, Purge hurts neither: each message is read or purged, and the numbers agree",
		needs:   does[mq.Admin],
		check:   purgedInUse,
	},
}

// waits waits until a queue has so many messages that nobody has in hand.
func (f *fixture) waits(b mq.Broker, queue string, want int) {
	f.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		info, err := b.(mq.Admin).Inspect(f.ctx(), queue)
		if err != nil {
			f.Fatalf("looking up %q: %v", queue, err)
		}
		if info.Messages == want {
			return
		}
		if time.Now().After(deadline) {
			f.Fatalf("Inspect() tells of %d messages that wait in %q, want %d", info.Messages, queue, want)
		}
	}
}

func queueIsLookedUp(f *fixture) {
	b, queue, missing := f.open(), f.queue(), f.name()
	for range 3 {
		if _, err := b.(mq.Admin).Inspect(f.ctx(), missing); !errors.Is(err, mq.ErrNoQueue) {
			f.Errorf("Inspect() of a missing queue = %v, want %v", err, mq.ErrNoQueue)
		}
	}
	if got := f.h.Messages(f.T, missing); got != -1 {
		f.Errorf("the missing queue exists now, with %d messages", got)
	}
	info, err := b.(mq.Admin).Inspect(f.ctx(), queue)
	if want := (mq.QueueInfo{}); err != nil || info != want {
		f.Errorf("Inspect() of an empty queue = %+v, %v, want %+v", info, err, want)
	}
	f.publish(b, queue, ids(5)...)
	f.waits(f.open(), queue, 5)
	s := f.subscribe(b, queue, 2)
	out := f.receiveAll(s, 2)
	f.waits(b, queue, 3)
	for _, d := range out {
		f.settle(d, mq.Ack)
	}
	f.receiveAll(s, 2)
	f.waits(b, queue, 1)
	f.close(s)
	f.waits(b, queue, 3)
}

func queueIsPurged(f *fixture) {
	b, queue, other := f.open(), f.queue(), f.queue()
	f.publish(b, other, "other")
	if _, err := b.(mq.Admin).Purge(f.ctx(), f.name()); !errors.Is(err, mq.ErrNoQueue) {
		f.Errorf("Purge() of a missing queue = %v, want %v", err, mq.ErrNoQueue)
	}
	f.purge(b, queue, 0)
	f.publish(b, queue, ids(5)...)
	f.waits(b, queue, 5)
	f.purge(b, queue, 5)
	f.holds(queue, 0)

	f.publish(b, queue, ids(7)...)
	s := f.subscribe(b, queue, 2)
	out := f.receiveAll(s, 2)
	f.waits(b, queue, 5)
	f.purge(f.open(), queue, 5)
	f.holds(queue, 2)
	kept := ""
	for id, d := range out {
		if kept == "" {
			kept = id
			f.settle(d, mq.Retry)
			continue
		}
		f.settle(d, mq.Ack)
	}
	if got := f.receive(s).Message.ID; got != kept {
		f.Errorf("%q comes again, want %q", got, kept)
	}
	f.close(s)
	f.publish(b, queue, "after")
	f.hasAll(b, queue, []string{kept, "after"})
	f.holds(other, 1)
}

// purge purges a queue and expects so many messages in it.
func (f *fixture) purge(b mq.Broker, queue string, want int) {
	f.Helper()
	if got, err := b.(mq.Admin).Purge(f.ctx(), queue); err != nil || got != want {
		f.Errorf("Purge() = %d, %v, want %d", got, err, want)
	}
}

func purgedInUse(f *fixture) {
	b, queue := f.open(), f.queue()
	stop := f.background(b, queue, 4)
	s := f.subscribe(b, queue, 16)
	wait := f.work(s, 4, f.acks)
	purged := 0
	for range 20 {
		n, err := b.(mq.Admin).Purge(f.ctx(), queue)
		if err != nil {
			f.Errorf("Purge() = %v", err)
		}
		purged += n
	}
	sent := len(stop())
	f.holds(queue, 0)
	f.close(s)
	if read := len(wait()); read+purged != sent {
		f.Errorf("%d messages were read and %d purged, want %d together", read, purged, sent)
	}
}
