package mqtest

import (
	"sync"

	"mqgateway/internal/mq"
)

var settleRules = []rule{
	{
		name:    "acks reach the broker without more traffic",
		explain: "an acked message leaves the queue soon, although nothing else happens on the subscription and it is not closed",
		check:   acksReachBroker,
	},
	{
		name:    "Close flushes acks",
		explain: "what was settled just before Close of the subscription is settled",
		check:   closeFlushes,
	},
	{
		name:    "Retry and Return deliver again",
		explain: "a message settled by Retry or Return is delivered again, marked as redelivered, until it is acked",
		check:   deliveredAgain,
	},
	{
		name:    "deliveries are counted",
		explain: "where the product counts deliveries, a message tells how often it was delivered before",
		needs:   able[CountedMaker],
		check:   deliveriesCounted,
	},
	{
		name:    "Reject is for good",
		explain: "a rejected message leaves the queue and is never delivered again",
		check:   rejectIsForGood,
	},
	{
		name:    "rejected messages are kept by the broker",
		explain: "where the product has dead letters of its own, a rejected message goes there",
		needs:   able[DeadLetterer],
		check:   rejectedIsKept,
	},
	{
		name:    "unsettled messages come back",
		explain: "what was not settled when the subscription was closed is delivered to the next one, redelivered, and nothing else is",
		check:   unsettledComeBack,
	},
	{
		name:    "settling out of order",
		explain: "messages settled in any order, by any outcome, by many goroutines: exactly those that were not acked come back",
		check:   settledOutOfOrder,
	},
}

func acksReachBroker(f *fixture) {
	b, queue := f.open(), f.queue()
	f.publish(b, queue, ids(7)...)
	s := f.subscribe(b, queue, 100)
	for _, d := range f.receiveAll(s, 7) {
		f.settle(d, mq.Ack)
	}
	f.holds(queue, 0)
}

func closeFlushes(f *fixture) {
	b, queue := f.open(), f.queue()
	f.fill(b, queue, ids(20))
	s := f.subscribe(b, queue, 20)
	for i := range 10 {
		f.settle(f.receive(s), []mq.Outcome{mq.Ack, mq.Reject}[i%2])
	}
	f.close(s)
	f.holds(queue, 10)
	f.receiveAll(f.subscribe(b, queue, 20), 10)
}

func deliveredAgain(f *fixture) {
	b, queue := f.open(), f.queue()
	f.publish(b, queue, "m")
	s := f.subscribe(b, queue, 1)
	d := f.receive(s)
	for _, o := range []mq.Outcome{mq.Retry, mq.Return, mq.Return, mq.Retry} {
		f.settle(d, o)
		d = f.receive(s)
		if d.Message.ID != "m" || string(d.Message.Body) != "m" {
			f.Fatalf("after %s message %q with body %q comes, want %q", o, d.Message.ID, d.Message.Body, "m")
		}
		if source := d.Message.Source; !source.Redelivered || source.Deliveries < 1 {
			f.Errorf("after %s the source is %+v, want redelivered", o, source)
		}
	}
	f.settle(d, mq.Ack)
	f.receiveNone(s)
	f.holds(queue, 0)
}

func deliveriesCounted(f *fixture) {
	b, queue := f.open(), f.name()
	f.h.(CountedMaker).MakeCounted(f.T, queue)
	f.publish(b, queue, "m")
	s := f.subscribe(b, queue, 1)
	for want := range 4 {
		d := f.receive(s)
		if got := d.Message.Source.Deliveries; got != want {
			f.Errorf("Deliveries = %d, want %d", got, want)
		}
		f.settle(d, mq.Retry)
	}
}

func rejectIsForGood(f *fixture) {
	b, queue := f.open(), f.queue()
	f.publish(b, queue, ids(3)...)
	s := f.subscribe(b, queue, 1)
	for range 3 {
		f.settle(f.receive(s), mq.Reject)
	}
	f.receiveNone(s)
	f.holds(queue, 0)
}

func rejectedIsKept(f *fixture) {
	b, letters, queue := f.open(), f.queue(), f.name()
	f.h.(DeadLetterer).MakeDeadLettered(f.T, queue, letters)
	f.publish(b, queue, "kept")
	f.settle(f.receive(f.subscribe(b, queue, 1)), mq.Reject)
	d := f.receive(f.subscribe(b, letters, 1))
	if d.Message.ID != "kept" || string(d.Message.Body) != "kept" {
		f.Errorf("the dead letter is %q with body %q, want %q", d.Message.ID, d.Message.Body, "kept")
	}
	f.settle(d, mq.Ack)
	f.holds(letters, 0)
	f.holds(queue, 0)
}

func unsettledComeBack(f *fixture) {
	b, queue := f.open(), f.queue()
	f.publish(b, queue, ids(10)...)
	s := f.subscribe(b, queue, 5)
	first := f.receiveAll(s, 5)
	acked := 0
	for id, d := range first {
		if acked < 2 {
			f.settle(d, mq.Ack)
			delete(first, id)
			acked++
		}
	}
	f.close(s)
	again := f.receiveAll(f.subscribe(b, queue, 10), 8)
	for id := range first {
		d := again[id]
		if d == nil {
			f.Errorf("message %q is not delivered again", id)
			continue
		}
		if !d.Message.Source.Redelivered {
			f.Errorf("message %q is delivered again, and not marked as redelivered", id)
		}
	}
	f.holds(queue, 8)
}

// settledOutOfOrder has a driver that combines acks ack what lies between.
func settledOutOfOrder(f *fixture) {
	b, queue, all := f.open(), f.queue(), ids(200)
	f.fill(b, queue, all)
	s := f.subscribe(b, queue, len(all))
	out := f.receiveAll(s, len(all))
	want := map[string]bool{}
	var group sync.WaitGroup
	for i, id := range all {
		switch i % 4 {
		case 0, 1:
			group.Go(func() { f.acks(out[id]) })
		case 2:
			group.Go(func() {
				if err := out[id].Settle(mq.Reject); err != nil {
					f.Errorf("settling %q: %v", id, err)
				}
			})
		default:
			want[id] = true
		}
	}
	group.Wait()
	f.holds(queue, len(want))
	f.close(s)
	for id := range f.receiveAll(f.subscribe(b, queue, len(all)), len(want)) {
		if !want[id] {
			f.Errorf("message %q was settled and comes back", id)
		}
	}
}
