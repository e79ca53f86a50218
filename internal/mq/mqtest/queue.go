package mqtest

import (
	"context"
	"errors"
	"time"

	"mqgateway/internal/mq"
)

var queueRules = []rule{
	{
		name:    "a missing queue is told",
		explain: "Subscribe to a queue that does not exist is ErrNoQueue, makes no queue, and the broker can be used afterwards",
		check:   missingQueue,
	},
	{
		name:    "Subscribe declares where it may",
		explain: "Subscribe with a kind makes a missing queue, which keeps messages without a reader",
		check:   subscribeDeclares,
	},
	{
		name:    "Declare makes missing queues",
		explain: "Declare makes a missing queue when it is told a kind, and is ErrNoQueue otherwise",
		check:   declareMakes,
	},
	{
		name:    "existing queues stay as they are",
		explain: "a queue that exists is never declared again, whatever kind it is asked for as",
		check:   existingStays,
	},
	{
		name:    "names are free",
		explain: "a queue may have any name that its product allows",
		check:   namesAreFree,
	},
	{
		name:    "a deleted queue ends the subscription",
		explain: "Receive returns an error soon after the queue was deleted, which is neither a cancel nor the end of the context",
		check:   deletedQueue,
	},
	{
		name:    "priorities are kept",
		explain: "where the product has priorities, the most urgent message is delivered first",
		needs:   able[PriorityMaker],
		check:   priorities,
	},
	{
		name:    "expired messages go",
		explain: "where the product has expiry, a message leaves its queue unread when its life is over, and others stay",
		needs:   func(p probe) bool { return p.features.Expiry },
		check:   expiry,
	},
	{
		name:    "messages of a queue with a TTL go",
		explain: "messages that nobody reads leave a queue that was declared with a TTL when they have been in it for so long, and not before, whatever their own life; queues without one keep them",
		check:   queueTTL,
	},
	{
		name:    "queues without readers go",
		explain: "where the product can do that, a queue declared with Expires is gone when nobody has read it for so long, and not before; Subscribe with a kind makes it again",
		needs:   able[QueueExpirer],
		check:   queueExpires,
	},
}

func missingQueue(f *fixture) {
	b, queue, missing := f.open(), f.queue(), f.name()
	if _, err := b.Subscribe(f.ctx(), mq.Queue{Name: missing, Prefetch: 1}); !errors.Is(err, mq.ErrNoQueue) {
		f.Errorf("Subscribe() = %v, want %v", err, mq.ErrNoQueue)
	}
	if got := f.h.Messages(f.T, missing); got != -1 {
		f.Errorf("the missing queue exists now, with %d messages", got)
	}
	s := f.subscribe(b, queue, 1)
	f.publish(b, queue, "m")
	f.receive(s)
}

func subscribeDeclares(f *fixture) {
	b := f.open()
	for _, kind := range []mq.QueueKind{mq.Classic, mq.Quorum} {
		queue := f.name()
		s, err := b.Subscribe(f.ctx(), mq.Queue{Name: queue, Prefetch: 1, Kind: kind})
		if err != nil {
			f.Errorf("Subscribe() to a missing queue of kind %s: %v", kind, err)
			continue
		}
		f.close(s)
		f.publish(b, queue, "m")
		f.holds(queue, 1)
		f.receive(f.subscribe(b, queue, 1))
	}
}

func declareMakes(f *fixture) {
	b := f.open()
	declarer, ok := b.(mq.Declarer)
	if !ok {
		f.Fatalf("%T is no mq.Declarer", b)
	}
	missing := f.name()
	if err := declarer.Declare(f.ctx(), mq.Queue{Name: missing}); !errors.Is(err, mq.ErrNoQueue) {
		f.Errorf("Declare() of a missing queue without a kind = %v, want %v", err, mq.ErrNoQueue)
	}
	for _, q := range []mq.Queue{{Kind: mq.Classic}, {Kind: mq.Quorum}, {Kind: mq.Quorum, Unlimited: true}} {
		q.Name = f.name()
		for range 2 {
			if err := declarer.Declare(f.ctx(), q); err != nil {
				f.Errorf("Declare(%+v) = %v", q, err)
			}
		}
		f.publish(b, q.Name, "m")
		f.holds(q.Name, 1)
	}
}

func existingStays(f *fixture) {
	b, queue := f.open(), f.queue()
	for _, kind := range []mq.QueueKind{mq.Existing, mq.Classic, mq.Quorum} {
		q := mq.Queue{Name: queue, Prefetch: 1, Kind: kind}
		s, err := b.Subscribe(f.ctx(), q)
		if err != nil {
			f.Errorf("Subscribe(%+v) to an existing queue: %v", q, err)
			continue
		}
		f.close(s)
		if declarer, ok := b.(mq.Declarer); ok {
			if err := declarer.Declare(f.ctx(), q); err != nil {
				f.Errorf("Declare(%+v) of an existing queue: %v", q, err)
			}
		}
	}
	f.publish(b, queue, "m")
	f.holds(queue, 1)
}

func namesAreFree(f *fixture) {
	b := f.open()
	for _, queue := range []string{"очередь", "orders in", "a.b..c.", "*", ">", "a/b", "Q", "q", "=41"} {
		f.h.MakeQueue(f.T, queue)
		f.publish(b, queue, "for "+queue)
		if got, want := f.receive(f.subscribe(b, queue, 1)).Message.ID, "for "+queue; got != want {
			f.Errorf("queue %q gives message %q, want %q", queue, got, want)
		}
	}
}

func deletedQueue(f *fixture) {
	b, queue := f.open(), f.queue()
	s := f.subscribe(b, queue, 1)
	f.publish(b, queue, "m")
	f.settle(f.receive(s), mq.Ack)
	f.holds(queue, 0)
	f.h.DeleteQueue(f.T, queue)
	f.awaitEnd(s)
	f.close(s)
}

func priorities(f *fixture) {
	b, queue := f.open(), f.name()
	f.h.(PriorityMaker).MakePrioritized(f.T, queue)
	for i, id := range []string{"some day", "today", "now"} {
		m := message(id)
		m.Priority = uint8(1 + 3*i)
		f.put(b, queue, m)
	}
	s := f.subscribe(b, queue, 1)
	for _, want := range []string{"now", "today", "some day"} {
		d := f.receive(s)
		if d.Message.ID != want {
			f.Errorf("received %q, want %q", d.Message.ID, want)
		}
		f.settle(d, mq.Ack)
	}
}

func expiry(f *fixture) {
	b, queue := f.open(), f.queue()
	for id, life := range map[string]time.Duration{"short": 100 * time.Millisecond, "other short": 300 * time.Millisecond} {
		m := message(id)
		m.Expiry = life
		f.put(b, queue, m)
	}
	f.holds(queue, 0)
	m := message("long")
	m.Expiry = time.Hour
	f.put(b, queue, m)
	if got := f.receive(f.subscribe(b, queue, 1)).Message.ID; got != "long" {
		f.Errorf("received %q, want %q", got, "long")
	}
}

func queueTTL(f *fixture) {
	b, kept := f.open(), f.name()
	f.declare(b, mq.Queue{Name: kept, Kind: mq.Quorum})
	f.publish(b, kept, ids(3)...)
	for _, kind := range []mq.QueueKind{mq.Classic, mq.Quorum} {
		short, long := f.name(), f.name()
		f.declare(b, mq.Queue{Name: short, Kind: kind, TTL: 500 * time.Millisecond})
		f.declare(b, mq.Queue{Name: long, Kind: kind, TTL: time.Hour})
		f.publish(b, long, ids(3)...)
		m := message("its own life is longer")
		m.Expiry = time.Hour
		f.put(b, short, m)
		f.publish(b, short, ids(3)...)
		f.holds(short, 0)
		f.pass(b, f.subscribe(b, short, 1), short)
		f.holds(long, 3)
	}
	f.holds(kept, 3)
}

func queueExpires(f *fixture) {
	b, server := f.open(), f.h.(QueueExpirer)
	for _, kind := range []mq.QueueKind{mq.Classic, mq.Quorum} {
		read := mq.Queue{Name: f.name(), Prefetch: 1, Kind: kind, Expires: 500 * time.Millisecond}
		unread := read
		unread.Name = f.name()
		s := f.subscribeAs(b, read) // the queue may go before it is read
		f.declare(b, unread)
		f.eventually("the queue without a reader is gone", func() bool { return !server.QueueExists(f.T, unread.Name) })
		// This one was made first, and would have gone first.
		f.publish(b, read.Name, "m")
		f.settle(f.receive(s), mq.Ack)
		f.close(s)
		f.eventually("the queue is gone after its reader", func() bool { return !server.QueueExists(f.T, read.Name) })
		s = f.subscribeAs(b, read)
		f.publish(b, read.Name, "again")
		f.settle(f.receive(s), mq.Ack)
		f.close(s)
	}
}

// pass publishes to a queue until a message comes before its life is over.
func (f *fixture) pass(b mq.Broker, s mq.Subscription, queue string) {
	f.Helper()
	f.eventually("a message comes before its life is over", func() bool {
		f.publish(b, queue, "again")
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		d, err := s.Receive(ctx)
		if err != nil && ctx.Err() == nil {
			f.Fatalf("receiving: %v", err)
		}
		if err == nil {
			f.settle(d, mq.Ack)
		}
		return err == nil
	})
}

// declare makes a queue by the driver.
func (f *fixture) declare(b mq.Broker, q mq.Queue) {
	f.Helper()
	if err := b.(mq.Declarer).Declare(f.ctx(), q); err != nil {
		f.Fatalf("declaring %q: %v", q.Name, err)
	}
}
