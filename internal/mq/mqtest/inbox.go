package mqtest

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"mqgateway/internal/flow"
	"mqgateway/internal/mq"
)

// inboxRules are for products with reply addresses.
var inboxRules = []rule{
	{
		name:    "replies come to the inbox",
		explain: "who publishes to the reply-to of a request reaches the inbox that the request was published on, and nobody else; the reply is received as it was sent",
		needs:   does[mq.Inboxer],
		check:   repliesCome,
	},
	{
		name:    "each request gets its reply",
		explain: "of many requests at once on two inboxes of one broker, each is answered on its own inbox, once, whoever receives",
		needs:   does[mq.Inboxer],
		check:   eachGetsItsReply,
	},
	{
		name:    "Receive of an inbox ends with its context",
		explain: "Receive returns the context's error when that ends, and the inbox goes on",
		needs:   does[mq.Inboxer],
		check:   inboxReceiveEnds,
	},
	{
		name:    "an unroutable request is returned",
		explain: "a request for a queue or an exchange that does not exist is ErrReturned, and the inbox goes on",
		needs:   does[mq.Inboxer],
		check:   unroutableRequest,
	},
	{
		name:    "a poisonous request hurts nothing",
		explain: "a request of any content is refused as BadMessage or published; the inbox and other publishes go on",
		needs:   does[mq.Inboxer],
		check:   poisonousRequest,
	},
	{
		name:    "a late reply hurts nothing",
		explain: "a reply to an inbox that is closed is published or returned, and the responder's other publishes go on",
		needs:   does[mq.Inboxer],
		check:   lateReply,
	},
	{
		name:    "a lost connection ends the inbox",
		explain: "when the connection is lost, every Receive returns an error that is not the context's, Publish is an error that blames no message, and a new inbox can be opened",
		needs:   does[mq.Inboxer],
		check:   lossEndsInbox,
	},
	{
		name:    "Close of an inbox ends it alone",
		explain: "after Close, which may be called again, Receive and Publish are errors; other inboxes and publishes go on; OpenInbox of a closed broker is an error",
		needs:   does[mq.Inboxer],
		check:   closingInbox,
	},
}

// inbox opens an inbox that is closed at the end of the test.
func (f *fixture) inbox(b mq.Broker) mq.Inbox {
	f.Helper()
	i, err := b.(mq.Inboxer).OpenInbox(f.ctx())
	if err != nil {
		f.Fatalf("opening an inbox: %v", err)
	}
	f.Cleanup(func() {
		if err := i.Close(); err != nil {
			f.Errorf("closing an inbox: %v", err)
		}
	})
	return i
}

// request is a message of that id whose reply goes to the inbox.
func request(i mq.Inbox, id string) *flow.Message {
	m := message(id)
	m.ReplyTo = i.Address()
	return m
}

// ask publishes a request.
func (f *fixture) ask(i mq.Inbox, queue, id string) {
	f.Helper()
	if err := i.Publish(f.ctx(), to(queue), request(i, id)); err != nil {
		f.Fatalf("publishing request %q: %v", id, err)
	}
}

// answer is the reply of a responder to a request, which it names by CorrelID.
func answer(d *mq.Delivery) (flow.Address, *flow.Message) {
	return to(d.Message.ReplyTo), &flow.Message{
		ID: "reply to " + d.Message.ID, CorrelID: d.Message.ID, Type: flow.Reply, Persistence: flow.NonPersistent,
		Body: append([]byte("reply to "), d.Message.Body...), Headers: []flow.Header{{Name: "h", Value: "v"}},
	}
}

// respond answers requests until the test ends, by a broker of its own.
func (f *fixture) respond(queue string) {
	f.Helper()
	b := f.open()
	s := f.subscribe(b, queue, 32)
	wait := f.work(s, 8, func(d *mq.Delivery) {
		address, reply := answer(d)
		if err := b.Publish(context.Background(), address, reply); err != nil {
			f.Errorf("replying to %q: %v", d.Message.ID, err)
		}
		_ = d.Settle(mq.Ack) // the test may be at its end
	})
	f.Cleanup(func() {
		_ = s.Close()
		wait()
	})
}

// awaitReply receives the reply to a request, which has to be the next.
func (f *fixture) awaitReply(i mq.Inbox, id string) {
	f.Helper()
	m, err := i.Receive(f.ctx())
	if err != nil {
		f.Fatalf("receiving the reply to %q: %v", id, err)
	}
	if m.CorrelID != id {
		f.Fatalf("received the reply to %q, want that to %q", m.CorrelID, id)
	}
}

// roundTrip checks that an inbox lives.
func (f *fixture) roundTrip(i mq.Inbox, queue, id string) {
	f.Helper()
	f.ask(i, queue, id)
	f.awaitReply(i, id)
}

func repliesCome(f *fixture) {
	b, responder, queue := f.open(), f.open(), f.queue()
	mine, other := f.inbox(b), f.inbox(b)
	asked := request(mine, "request")
	before := copied(*asked)
	if err := mine.Publish(f.ctx(), to(queue), asked); err != nil {
		f.Fatalf("publishing a request: %v", err)
	}
	if asked.ReplyTo != before.ReplyTo || asked.ID != before.ID {
		f.Errorf("the request was changed to %+v", asked)
	}
	d := f.receive(f.subscribe(responder, queue, 1))
	address, reply := answer(d)
	if err := responder.Publish(f.ctx(), address, reply); err != nil {
		f.Fatalf("replying: %v", err)
	}
	got, err := mine.Receive(f.ctx())
	if err != nil {
		f.Fatalf("receiving the reply: %v", err)
	}
	if got.Source.Queue != mine.Address() || got.Source.Manager != d.Message.Source.Manager {
		f.Errorf("source = %+v, want queue %q and manager %q", got.Source, mine.Address(), d.Message.Source.Manager)
	}
	f.equal(*reply, *got)
	f.noReply(other)
	f.settle(d, mq.Ack)
}

// noReply watches that no reply comes.
func (f *fixture) noReply(i mq.Inbox) {
	f.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), silence)
	defer cancel()
	m, err := i.Receive(ctx)
	if err == nil {
		f.Fatalf("received the reply to %q, want none", m.CorrelID)
	}
	if !errors.Is(err, context.DeadlineExceeded) {
		f.Fatalf("receiving: %v, want %v", err, context.DeadlineExceeded)
	}
}

func eachGetsItsReply(f *fixture) {
	b, queue := f.open(), f.queue()
	f.respond(queue)
	var group sync.WaitGroup
	for name, i := range map[string]mq.Inbox{"a": f.inbox(b), "b": f.inbox(b)} {
		group.Go(func() { f.converse(i, queue, name) })
	}
	group.Wait()
}

// converse asks with many goroutines and receives with several.
func (f *fixture) converse(i mq.Inbox, queue, name string) {
	const askers, each, receivers = 16, 20, 4
	var group sync.WaitGroup
	for asker := range askers {
		group.Go(func() {
			for n := range each {
				if err := i.Publish(f.ctx(), to(queue), request(i, fmt.Sprint(name, "-", asker, "-", n))); err != nil {
					f.Errorf("publishing a request: %v", err)
				}
			}
		})
	}
	var mu sync.Mutex
	seen := map[string]int{}
	for range receivers {
		group.Go(func() {
			for range askers * each / receivers {
				m, err := i.Receive(f.ctx())
				if err != nil {
					f.Errorf("receiving a reply: %v", err)
					return
				}
				mu.Lock()
				seen[m.CorrelID]++
				mu.Unlock()
			}
		})
	}
	group.Wait()
	for asker := range askers {
		for n := range each {
			if id := fmt.Sprint(name, "-", asker, "-", n); seen[id] != 1 {
				f.Errorf("request %q has %d replies, want 1", id, seen[id])
			}
		}
	}
}

func inboxReceiveEnds(f *fixture) {
	b, queue := f.open(), f.queue()
	f.respond(queue)
	i := f.inbox(b)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() {
		_, err := i.Receive(ctx)
		ended <- err
	}()
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		f.Errorf("Receive() = %v, want %v", err, context.Canceled)
	}
	if err := i.Publish(ctx, to(queue), request(i, "m")); !errors.Is(err, context.Canceled) || errors.Is(err, mq.ErrUnknown) {
		f.Errorf("Publish() = %v, want %v and that nothing was sent", err, context.Canceled)
	}
	f.roundTrip(i, queue, "after")
}

func unroutableRequest(f *fixture) {
	b, queue, missing := f.open(), f.queue(), f.name()
	f.respond(queue)
	i := f.inbox(b)
	for n := range 20 {
		for _, a := range []flow.Address{to(missing), {Exchange: "missing", Key: queue}} {
			if err := i.Publish(f.ctx(), a, request(i, "unroutable")); !errors.Is(err, mq.ErrReturned) {
				f.Errorf("publishing a request to %q: %v, want %v", a, err, mq.ErrReturned)
			}
		}
		f.roundTrip(i, queue, fmt.Sprint("m-", n))
	}
}

func poisonousRequest(f *fixture) {
	b, queue, poisoned, good := f.open(), f.queue(), f.queue(), f.queue()
	f.respond(queue)
	i := f.inbox(b)
	stop := f.background(b, good, 4)
	for _, m := range poison() {
		if m.ReplyTo == "" {
			m.ReplyTo = i.Address()
		}
		f.takes(m, i.Publish(f.ctx(), to(poisoned), &m))
		f.roundTrip(i, queue, "after "+clip(m))
	}
	f.holds(good, len(stop()))
}
