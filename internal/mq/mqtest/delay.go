package mqtest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/google/go-cmp/cmp"

	"mqgateway/internal/flow"
	"mqgateway/internal/mq"
)

// delayRules are for products that can hold messages back.
var delayRules = []rule{
	{
		name:    "a delayed message comes after its delay",
		explain: "a message that was held back comes to its queue after the delay, and not before, told as delayed and as delivered for the first time, with the content that was sent and no header more; other messages of the queue come at once, and are not told as delayed",
		needs:   does[mq.Delayer],
		check:   comesAfterDelay,
	},
	{
		name:    "a message can be held back again and again",
		explain: "a message that was held back, received, and held back again many times is never lost, and is still the one that was sent",
		needs:   does[mq.Delayer],
		check:   heldBackAgain,
	},
	{
		name:    "delays do not hold each other up",
		explain: "messages come after their delays, each once, while others that were held back before them wait on",
		needs:   does[mq.Delayer],
		check:   delaysAreApart,
	},
	{
		name:    "what is held back needs nobody",
		explain: "a message that was held back comes to its queue when whoever held it back is closed and nobody reads the queue",
		needs:   does[mq.Delayer],
		check:   heldBackNeedsNobody,
	},
	{
		name:    "poison is not held back",
		explain: "a message of any content is either refused as BadMessage or held back and received exactly as it was sent, and no publish at the same time is hurt by it; an ended context and an expiry send nothing",
		needs:   does[mq.Delayer],
		check:   poisonHeldBack,
	},
	{
		name:    "holding back survives lost connections",
		explain: "while connections are lost under load, every message whose PublishLater was nil comes to its queue",
		needs:   does[mq.Delayer],
		check:   holdingBackSurvives,
	},
}

const (
	shortDelay = time.Second
	longDelay  = 4 * time.Second
)

// later holds a message back.
func (f *fixture) later(b mq.Broker, queue string, delay time.Duration, m *flow.Message) {
	f.Helper()
	if err := b.(mq.Delayer).PublishLater(f.ctx(), queue, delay, m); err != nil {
		f.Fatalf("holding back %q for %s: %v", m.ID, delay, err)
	}
}

// fillLater holds back messages of these ids at once.
func (f *fixture) fillLater(b mq.Broker, queue string, delay time.Duration, ids []string) {
	f.Helper()
	var all sync.WaitGroup
	for _, id := range ids {
		all.Go(func() {
			if err := b.(mq.Delayer).PublishLater(f.Context(), queue, delay, message(id)); err != nil {
				f.Errorf("holding back %q for %s: %v", id, delay, err)
			}
		})
	}
	all.Wait()
}

// lasting are the contents without an expiry, which can be held back.
func lasting(f *fixture) map[string]flow.Message {
	all := map[string]flow.Message{}
	for _, m := range contents(f) {
		m.Expiry = 0
		all[m.ID] = m
	}
	return all
}

func comesAfterDelay(f *fixture) {
	b, queue, direct := f.open(), f.queue(), f.queue()
	f.later(b, queue, shortDelay, message("first")) // makes what is missing
	sent, began := lasting(f), map[string]time.Time{}
	for id, m := range sent {
		before := copied(m)
		if err := b.Publish(f.ctx(), to(direct), &m); err != nil {
			f.Fatalf("publishing %q: %v", id, err)
		}
		began[id] = time.Now()
		f.later(b, queue, shortDelay, &m)
		if diff := cmp.Diff(before, m, alike); diff != "" {
			f.Errorf("%q was changed by PublishLater (-before +after):\n%s", id, diff)
		}
	}
	s := f.subscribe(b, queue, len(sent)+2)
	f.publish(b, queue, "at once")
	want := f.receiveAll(f.subscribe(b, direct, len(sent)), len(sent))
	for range len(sent) + 2 {
		d := f.receive(s)
		id, took := d.Message.ID, time.Since(began[d.Message.ID])
		switch _, known := sent[id]; {
		case known:
			if took < shortDelay {
				f.Errorf("%q comes after %s, want %s", id, took, shortDelay)
			}
			f.equal(sent[id], d.Message)
			f.sameHeaders(want[id], d)
			delete(sent, id)
		case id != "first" && id != "at once":
			f.Errorf("%q comes, which is unknown or comes again", id)
		}
		source := d.Message.Source
		if source.Queue != queue || source.Redelivered || source.Deliveries != 0 || source.Delayed != (id != "at once") {
			f.Errorf("source of %q = %+v", id, source)
		}
		f.settle(d, mq.Ack)
	}
	f.holds(queue, 0)
}

// sameHeaders expects that two deliveries have headers of the same names, those of
// the broker among them.
func (f *fixture) sameHeaders(want, got *mq.Delivery) {
	f.Helper()
	if diff := cmp.Diff(headerNames(want), headerNames(got)); diff != "" {
		f.Errorf("%q has other headers than without being held back (-without +with):\n%s", got.Message.ID, diff)
	}
}

func headerNames(d *mq.Delivery) []string {
	names := make([]string, 0, len(d.Message.Headers))
	for _, h := range d.Message.Headers {
		names = append(names, h.Name)
	}
	slices.Sort(names)
	return names
}

func heldBackAgain(f *fixture) {
	b, queue := f.open(), f.queue()
	exchange := flow.Address{Key: queue}
	if maker, ok := f.h.(ExchangeMaker); ok {
		exchange = flow.Address{Exchange: "orders", Key: "new"}
		maker.MakeExchange(f.T, exchange.Exchange, exchange.Key, queue)
	}
	sent := everyProperty(f.features.UserID)
	sent.Expiry = 0
	if err := b.Publish(f.ctx(), exchange, &sent); err != nil {
		f.Fatalf("publishing: %v", err)
	}
	s := f.subscribe(b, queue, 1)
	first := f.receive(s)
	d := first
	for range 5 {
		f.later(b, queue, 50*time.Millisecond, &d.Message)
		f.settle(d, mq.Ack)
		d = f.receive(s)
		f.equal(sent, d.Message)
		f.sameHeaders(first, d)
		want := first.Message.Source
		want.Delayed = true
		if diff := cmp.Diff(want, d.Message.Source); diff != "" {
			f.Errorf("the source is another one (-want +got):\n%s", diff)
		}
	}
	f.settle(d, mq.Ack)
	f.holds(queue, 0)
}

func delaysAreApart(f *fixture) {
	b, queue, all := f.open(), f.queue(), ids(150)
	began := time.Now()
	f.fillLater(b, queue, time.Hour, all[:50])
	f.fillLater(b, queue, longDelay, all[50:100])
	f.fillLater(b, queue, shortDelay, all[100:])
	late, soon := all[50:100], all[100:]
	s := f.subscribe(b, queue, len(all))
	came := f.receiveAll(s, len(late)+len(soon))
	if took := time.Since(began); took < longDelay {
		f.Errorf("all came after %s, some were held back for %s", took, longDelay)
	}
	for _, id := range append(late, soon...) {
		if came[id] == nil {
			f.Errorf("%q does not come", id)
			continue
		}
		f.settle(came[id], mq.Ack)
	}
	f.receiveNone(s)
	f.holds(queue, 0)
}

func heldBackNeedsNobody(f *fixture) {
	b, queue := f.open(), f.queue()
	f.fillLater(b, queue, shortDelay, ids(20))
	f.close(b)
	f.holds(queue, 20)
	for id, d := range f.receiveAll(f.subscribe(f.open(), queue, 20), 20) {
		if !d.Message.Source.Delayed {
			f.Errorf("%q is not told as delayed", id)
		}
	}
}

func poisonHeldBack(f *fixture) {
	b, queue, good := f.open(), f.queue(), f.queue()
	stop := f.background(b, good, 4)
	taken := map[string]flow.Message{}
	for _, m := range poison() {
		if m.Expiry != 0 {
			if err := b.(mq.Delayer).PublishLater(f.ctx(), queue, shortDelay, &m); err == nil {
				f.Errorf("holding back a message with expiry %s = nil", m.Expiry)
			}
			continue
		}
		if f.takes(m, b.(mq.Delayer).PublishLater(f.ctx(), queue, shortDelay, &m)) {
			taken[m.ID] = m
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	err := b.(mq.Delayer).PublishLater(ctx, queue, shortDelay, message("ended"))
	if !errors.Is(err, context.Canceled) || errors.Is(err, mq.ErrUnknown) {
		f.Errorf("PublishLater() = %v, want %v and that nothing was sent", err, context.Canceled)
	}
	f.holds(good, len(stop()))
	f.keeps(b, queue, taken)
}

func holdingBackSurvives(f *fixture) {
	b, queue := f.open(), f.queue()
	ctx, stop := context.WithCancel(f.ctx())
	var group sync.WaitGroup
	var mu sync.Mutex
	missing := map[string]bool{}
	for p := range 8 {
		group.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				id := fmt.Sprintf("%d-%d", p, i)
				switch err := b.(mq.Delayer).PublishLater(context.WithoutCancel(ctx), queue, shortDelay, message(id)); {
				case err == nil:
					mu.Lock()
					missing[id] = true
					mu.Unlock()
				case errors.Is(err, mq.ErrReturned), errors.Is(err, mq.ErrNoDelay), flow.CodeOf(err) == flow.BadMessage:
					f.Errorf("holding back while connections are lost: %v, which blames the message or the broker", err)
					return
				default:
					time.Sleep(time.Millisecond) // as who calls would
				}
			}
		})
	}
	f.losses()
	stop()
	group.Wait()
	s := f.resubscribe(b, queue, 1000)
	for len(missing) > 0 {
		d := f.receive(s)
		delete(missing, d.Message.ID)
		f.settle(d, mq.Ack)
	}
}

// delayedOverRestart holds messages back where the broker can do that, and gives
// what has to hold for them after a restart.
func (f *fixture) delayedOverRestart(b mq.Broker) (kept func()) {
	f.Helper()
	if _, ok := b.(mq.Delayer); !ok {
		return func() {}
	}
	queue := f.queue()
	f.fillLater(b, queue, longDelay, ids(10))
	return func() {
		s, came := f.subscribe(b, queue, 10), map[string]bool{}
		for len(came) < 10 { // one may come twice
			d := f.receive(s)
			if !d.Message.Source.Delayed {
				f.Errorf("%q is not told as delayed after a restart", d.Message.ID)
			}
			came[d.Message.ID] = true
			f.settle(d, mq.Ack)
		}
		other := f.queue()
		f.later(b, other, shortDelay, message("after"))
		f.holds(other, 1)
	}
}

// delayedWhileDown checks what holding back answers when there is no server.
func (f *fixture) delayedWhileDown(ctx context.Context, b mq.Broker, queue string) {
	f.Helper()
	delayer, ok := b.(mq.Delayer)
	if !ok {
		return
	}
	err := delayer.PublishLater(ctx, queue, shortDelay, message("down"))
	if err == nil || errors.Is(err, mq.ErrReturned) || errors.Is(err, mq.ErrNoDelay) || flow.CodeOf(err) == flow.BadMessage {
		f.Errorf("PublishLater() = %v without a server, want that nothing was sent, or %v", err, mq.ErrUnknown)
	}
}

// delayedWhileBlocked checks that holding back does not lie about a server that takes
// no messages.
func (f *fixture) delayedWhileBlocked(b mq.Broker, queue string) {
	f.Helper()
	delayer, ok := b.(mq.Delayer)
	if !ok {
		return
	}
	err := delayer.PublishLater(f.ctx(), queue, shortDelay, message("blocked"))
	if err == nil || errors.Is(err, mq.ErrUnknown) || errors.Is(err, mq.ErrNoDelay) || errors.Is(err, context.DeadlineExceeded) {
		f.Errorf("PublishLater() of a blocked server = %v, want at once that nothing was sent", err)
	}
}
