package mqtest

import (
	"bytes"
	"context"
	"errors"
	"reflect"
	"runtime"
	"strings"
	"time"

	"mqgateway/internal/flow"
	"mqgateway/internal/mq"
)

// serverRules need the server, or the process, for themselves.
var serverRules = []rule{
	{
		name:    "Close leaves no goroutine",
		explain: "when Close of the broker returns, no goroutine that the driver started is left, also after lost connections and with messages in hand; those of its libraries end soon after",
		check:   closeLeavesNone,
	},
	{
		name:    "a restart is survived",
		explain: "while the server is down every call is an error that blames nobody; after it Check, Publish and Subscribe work again, and no confirmed message is lost, those that are held back and those of groups among them",
		needs:   able[Restarter],
		check:   restartIsSurvived,
	},
	{
		name:    "a blocked server blocks publishing only",
		explain: "a server short of a resource is told as Blocked, Publish does not lie about it, reading goes on, and all is well when it has recovered",
		needs:   able[Blocker],
		check:   blockedServer,
	},
}

// goroutines are the stacks of the goroutines that run code of the package, by
// their first line, which has their number.
func goroutines(pkg string) map[string]string {
	buf := make([]byte, 1<<20)
	for {
		if n := runtime.Stack(buf, true); n < len(buf) {
			buf = buf[:n]
			break
		}
		buf = make([]byte, 2*len(buf))
	}
	found := map[string]string{}
	for stack := range bytes.SplitSeq(buf, []byte("\n\n")) {
		if head, _, _ := strings.Cut(string(stack), " ["); bytes.Contains(stack, []byte(pkg+".")) {
			found[head] = string(stack)
		}
	}
	return found
}

func closeLeavesNone(f *fixture) {
	queue := f.queue()
	b := f.h.Open(f.T)
	pkg := reflect.TypeOf(b).Elem().PkgPath()
	before := goroutines(pkg)
	f.publish(b, queue, "one", "two")
	lost, err := b.Subscribe(f.ctx(), mq.Queue{Name: queue, Prefetch: 1})
	if err != nil {
		f.Fatalf("subscribing: %v", err)
	}
	f.receive(lost)
	f.h.Break(f.T)
	f.awaitEnd(lost)
	f.receive(f.resubscribe(b, queue, 2))
	f.publish(b, queue, "three")
	if _, ok := b.(mq.Inboxer); ok {
		f.leaveInbox(b)
	}
	f.close(b)
	left := newGoroutines(pkg, before)
	for _, stack := range left {
		if startedBy(pkg, stack) {
			f.Errorf("a goroutine is left:\n%s", stack)
		}
	}
	for deadline := time.Now().Add(patience); len(left) > 0; left = newGoroutines(pkg, before) {
		if time.Now().After(deadline) {
			f.Fatalf("after %s there still is a goroutine:\n%s", patience, left[0])
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// newGoroutines are the stacks of those that were not there before.
func newGoroutines(pkg string, before map[string]string) (left []string) {
	for head, stack := range goroutines(pkg) {
		if before[head] == "" {
			left = append(left, stack)
		}
	}
	return left
}

// startedBy tells that code of the package started a goroutine, by itself or by a
// WaitGroup. No driver can wait for those that a library has started, which hear
// of the end of their connection a moment after it.
func startedBy(pkg, stack string) bool {
	_, creator, _ := strings.Cut(stack, "\ncreated by ")
	return strings.HasPrefix(creator, pkg+".") || strings.HasPrefix(creator, "sync.(*WaitGroup).Go")
}

// leaveInbox opens an inbox that is not closed, with a reply that nobody receives.
func (f *fixture) leaveInbox(b mq.Broker) {
	f.Helper()
	i, queue := f.inbox(b), f.queue()
	f.ask(i, queue, "request")
	d := f.receive(f.subscribe(b, queue, 1))
	address, reply := answer(d)
	if err := b.Publish(f.ctx(), address, reply); err != nil {
		f.Fatalf("replying: %v", err)
	}
	f.settle(d, mq.Ack)
}

func restartIsSurvived(f *fixture) {
	server := f.h.(Restarter)
	b, queue := f.open(), f.queue()
	states := f.watch(b)
	f.publish(b, queue, ids(6)...)
	s := f.subscribe(b, queue, 4)
	old := f.receiveAll(s, 4)
	groupIsKept, delayedAreKept := f.groupOverRestart(b), f.delayedOverRestart(b)
	f.eventually("Up is told", func() bool { return states.told(mq.Up) })

	server.Stop(f.T)
	f.awaitEnd(s)
	f.eventually("Down is told", func() bool { return states.told(mq.Down) })
	f.whileDown(b, queue)
	f.allStale(old)

	server.Start(f.T)
	s = f.resubscribe(b, queue, 10)
	f.eventually("Up is told again", func() bool { return states.told(mq.Up) })
	f.allStale(old)
	again := f.receiveAll(s, 6)
	for _, id := range ids(6) {
		d := again[id]
		if d == nil {
			f.Errorf("message %q is lost", id)
			continue
		}
		if old[id] != nil && !d.Message.Source.Redelivered {
			f.Errorf("message %q is not marked as redelivered", id)
		}
		f.settle(d, mq.Ack)
	}
	f.publish(b, queue, "after")
	f.settle(f.receive(s), mq.Ack)
	f.holds(queue, 0)
	groupIsKept()
	delayedAreKept()
}

// whileDown checks what calls answer when there is no server.
func (f *fixture) whileDown(b mq.Broker, queue string) {
	f.Helper()
	for range 3 {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		if err := b.Check(ctx); err == nil {
			f.Error("Check() = nil without a server")
		}
		if _, err := b.Subscribe(ctx, mq.Queue{Name: queue, Prefetch: 1}); err == nil || errors.Is(err, mq.ErrNoQueue) {
			f.Errorf("Subscribe() = %v without a server", err)
		}
		err := b.Publish(ctx, to(queue), message("down"))
		if err == nil || errors.Is(err, mq.ErrReturned) || errors.Is(err, mq.ErrNacked) || flow.CodeOf(err) == flow.BadMessage {
			f.Errorf("Publish() = %v without a server, want that nothing was sent, or %v", err, mq.ErrUnknown)
		}
		f.groupWhileDown(ctx, b)
		f.delayedWhileDown(ctx, b, queue)
		cancel()
	}
}

func blockedServer(f *fixture) {
	server := f.h.(Blocker)
	b, queue := f.open(), f.queue()
	states := f.watch(b)
	f.publish(b, queue, ids(5)...)
	s := f.subscribe(b, queue, 5)
	f.settle(f.receive(s), mq.Ack)
	blocked, recovered := func() {}, func() {}
	if _, ok := b.(mq.Inboxer); ok {
		blocked, recovered = f.blockedInbox(b, queue)
	}

	server.Block(f.T, true)
	f.eventually("Blocked is told", func() bool {
		ctx, cancel := context.WithTimeout(context.Background(), silence)
		defer cancel()
		if err := b.Publish(ctx, to(queue), message("blocked")); err == nil {
			f.Error("Publish() = nil while the server takes no messages")
		}
		return states.told(mq.Blocked)
	})
	blocked()
	f.delayedWhileBlocked(b, queue)
	for range 4 {
		f.settle(f.receive(s), mq.Ack)
	}

	server.Block(f.T, false)
	f.eventually("Up is told", func() bool { return states.told(mq.Up) })
	f.close(s)
	recovered()
	f.publish(b, queue, "after")
	f.hasAll(b, queue, []string{"after"})
}
