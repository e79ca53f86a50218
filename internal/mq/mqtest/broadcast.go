package mqtest

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/google/go-cmp/cmp"

	"mqgateway/internal/flow"
	"mqgateway/internal/mq"
)

// broadcastRules are for products on which one message reaches many queues.
var broadcastRules = []rule{
	{
		name:    "a broadcast reaches the whole group",
		explain: "a message that is broadcast comes to every queue that joined the group, once, however often and by whoever it joined, with the content that was sent; queues of other groups get nothing",
		needs:   does[mq.Broadcaster],
		check:   broadcastReachesGroup,
	},
	{
		name:    "many broadcast at once",
		explain: "of many broadcasts at once each comes to every queue of the group, once",
		needs:   does[mq.Broadcaster],
		check:   manyBroadcast,
	},
	{
		name:    "a group of nobody is returned",
		explain: "a broadcast to a group that does not exist, or whose queues were all deleted, is ErrReturned, and publishes and broadcasts at the same time are not hurt",
		needs:   does[mq.Broadcaster],
		check:   emptyGroup,
	},
	{
		name:    "a deleted queue leaves its group",
		explain: "when a queue of a group is deleted, broadcasts come to the others, and to it again after it joined again",
		needs:   does[mq.Broadcaster],
		check:   deletedQueueLeaves,
	},
	{
		name:    "Join declares where it may",
		explain: "Join makes a missing queue when it is told a kind, and is ErrNoQueue otherwise; an existing queue joins with the messages that it has, whatever kind it is asked for as",
		needs:   does[mq.Broadcaster],
		check:   joinDeclares,
	},
	{
		name:    "poison is not broadcast",
		explain: "a broadcast of any content is either refused as BadMessage or received exactly as it was sent, and no other broadcast is hurt by it",
		needs:   does[mq.Broadcaster],
		check:   poisonousBroadcast,
	},
	{
		name:    "groups survive lost connections",
		explain: "after a lost connection broadcasts reach the group again, without joining again",
		needs:   does[mq.Broadcaster],
		check:   groupSurvivesLoss,
	},
}

// join makes a queue by joining it to a group, and returns its name.
func (f *fixture) join(b mq.Broker, group string, kind mq.QueueKind) string {
	f.Helper()
	queue := f.name()
	f.joinAs(b, group, mq.Queue{Name: queue, Kind: kind})
	return queue
}

func (f *fixture) joinAs(b mq.Broker, group string, q mq.Queue) {
	f.Helper()
	if err := b.(mq.Broadcaster).Join(f.ctx(), group, q); err != nil {
		f.Fatalf("joining %q to group %q: %v", q.Name, group, err)
	}
}

// broadcast broadcasts messages of these ids, one after the other.
func (f *fixture) broadcast(b mq.Broker, group string, ids ...string) {
	f.Helper()
	for _, id := range ids {
		if err := b.(mq.Broadcaster).Broadcast(f.ctx(), group, message(id)); err != nil {
			f.Fatalf("broadcasting to %q: %v", group, err)
		}
	}
}

func broadcastReachesGroup(f *fixture) {
	b, sender := f.open(), f.open()
	group, other := "all of "+f.name(), f.name()+".GW"
	queues := []string{f.join(b, group, mq.Classic), f.join(b, group, mq.Quorum), f.join(f.open(), group, mq.Quorum)}
	apart := f.join(b, other, mq.Quorum)
	for _, q := range queues {
		f.joinAs(b, group, mq.Queue{Name: q, Kind: mq.Quorum})
	}
	f.joinAs(sender, group, mq.Queue{Name: queues[0], Kind: mq.Classic})

	sent := everyProperty(f.features.UserID)
	before := copied(sent)
	if err := sender.(mq.Broadcaster).Broadcast(f.ctx(), group, &sent); err != nil {
		f.Fatalf("broadcasting: %v", err)
	}
	if diff := cmp.Diff(before, sent, alike); diff != "" {
		f.Errorf("the message was changed by Broadcast (-before +after):\n%s", diff)
	}
	f.broadcast(b, other, "apart")
	for _, q := range queues {
		f.holds(q, 1)
		s := f.subscribe(b, q, 5)
		d := f.receive(s)
		f.equal(before, d.Message)
		if source := d.Message.Source; source.Queue != q || source.Redelivered || source.Delayed {
			f.Errorf("source = %+v, want queue %q and the first delivery", source, q)
		}
		f.settle(d, mq.Ack)
		f.receiveNone(s)
	}
	f.hasAll(b, apart, []string{"apart"})
	f.joinAs(b, group, mq.Queue{Name: apart})
	f.broadcast(b, group, "now here, too")
	for _, q := range append(queues, apart) {
		f.holds(q, 1)
	}
}

func manyBroadcast(f *fixture) {
	b, group := f.open(), f.name()
	queues := []string{f.join(b, group, mq.Classic), f.join(b, group, mq.Quorum)}
	const senders, each = 16, 20
	var all sync.WaitGroup
	for s := range senders {
		all.Go(func() {
			for i := range each {
				if err := b.(mq.Broadcaster).Broadcast(f.Context(), group, message(fmt.Sprintf("%d-%d", s, i))); err != nil {
					f.Errorf("broadcasting: %v", err)
				}
			}
		})
	}
	all.Wait()
	for _, q := range queues {
		f.holds(q, senders*each)
		f.receiveAll(f.subscribe(b, q, senders*each), senders*each)
	}
}

func emptyGroup(f *fixture) {
	b, good, group := f.open(), f.queue(), f.name()
	stop := f.background(b, good, 4)
	missing, left := f.name(), f.name()
	f.h.DeleteQueue(f.T, f.join(b, left, mq.Quorum))
	queue := f.join(b, group, mq.Quorum)
	for i := range 20 {
		for _, g := range []string{missing, left} {
			if err := b.(mq.Broadcaster).Broadcast(f.ctx(), g, message("to nobody")); !errors.Is(err, mq.ErrReturned) {
				f.Errorf("broadcasting to a group of nobody: %v, want %v", err, mq.ErrReturned)
			}
		}
		f.broadcast(b, group, fmt.Sprint("m-", i))
	}
	f.holds(good, len(stop()))
	f.holds(queue, 20)
}

func deletedQueueLeaves(f *fixture) {
	b, group := f.open(), f.name()
	stays, leaves := f.join(b, group, mq.Classic), f.join(b, group, mq.Quorum)
	f.broadcast(b, group, "both")
	f.h.DeleteQueue(f.T, leaves)
	f.broadcast(b, group, "one")
	f.joinAs(b, group, mq.Queue{Name: leaves, Kind: mq.Quorum})
	f.broadcast(b, group, "both again")
	f.holds(leaves, 1)
	f.hasAll(b, leaves, []string{"both again"})
	f.holds(stays, 3)
	f.hasAll(b, stays, []string{"both", "one", "both again"})
}

func joinDeclares(f *fixture) {
	b, group, missing := f.open(), f.name(), f.name()
	if err := b.(mq.Broadcaster).Join(f.ctx(), group, mq.Queue{Name: missing}); !errors.Is(err, mq.ErrNoQueue) {
		f.Errorf("Join() of a missing queue without a kind = %v, want %v", err, mq.ErrNoQueue)
	}
	if got := f.h.Messages(f.T, missing); got != -1 {
		f.Errorf("the missing queue exists now, with %d messages", got)
	}
	for _, kind := range []mq.QueueKind{mq.Existing, mq.Classic, mq.Quorum} {
		queue := f.queue()
		f.publish(b, queue, "before")
		f.joinAs(b, group, mq.Queue{Name: queue, Kind: kind})
		f.broadcast(b, group, "after "+string(kind))
		f.holds(queue, 2)
		f.hasAll(b, queue, []string{"before", "after " + string(kind)})
	}
}

func poisonousBroadcast(f *fixture) {
	b, group := f.open(), f.name()
	queue := f.join(b, group, mq.Quorum)
	taken := map[string]flow.Message{}
	for i, m := range poison() {
		if f.takes(m, b.(mq.Broadcaster).Broadcast(f.ctx(), group, &m)) {
			taken[m.ID] = m
		}
		good := message(fmt.Sprint("good-", i))
		f.broadcast(b, group, good.ID)
		taken[good.ID] = *good
	}
	f.keeps(b, queue, taken)
}

func groupSurvivesLoss(f *fixture) {
	b, group := f.open(), f.name()
	queue := f.join(b, group, mq.Quorum)
	f.broadcast(b, group, "before")
	f.h.Break(f.T)
	f.eventually("broadcasting works again", func() bool {
		return b.(mq.Broadcaster).Broadcast(f.ctx(), group, message("after")) == nil
	})
	f.hasAll(b, queue, []string{"before", "after"})
}

// groupOverRestart makes a group where the broker has some, and gives what has to
// hold for it after a restart.
func (f *fixture) groupOverRestart(b mq.Broker) (kept func()) {
	f.Helper()
	if _, ok := b.(mq.Broadcaster); !ok {
		return func() {}
	}
	group := "group of the restart"
	queue := f.join(b, group, mq.Quorum)
	f.broadcast(b, group, "before")
	return func() {
		f.broadcast(b, group, "after")
		f.hasAll(b, queue, []string{"before", "after"})
	}
}

// groupWhileDown checks what a broadcast answers when there is no server.
func (f *fixture) groupWhileDown(ctx context.Context, b mq.Broker) {
	f.Helper()
	broadcaster, ok := b.(mq.Broadcaster)
	if !ok {
		return
	}
	if err := broadcaster.Broadcast(ctx, "group of the restart", message("down")); err == nil || errors.Is(err, mq.ErrReturned) {
		f.Errorf("Broadcast() = %v without a server, want an error that blames no group", err)
	}
}
