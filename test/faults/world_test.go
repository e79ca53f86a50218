package faults

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"mqgateway/test/faults/ledger"
)

// plan is what a scenario wants of its world.
type plan struct {
	// messages of all flows together are sent at least, and more while there are faults to
	// come; at most rate of them a second.
	messages int
	rate     float64
	// shares of the flows in the messages.
	shares map[string]float64
	// replicas of each of the two gateways.
	replicas int
	// workers is how many callers each call flow has.
	workers   int
	heartbeat time.Duration
	// mostOpen bounds the messages of a flow that are accepted and not delivered; 0 is
	// 3,000, which a gateway that stood still works off in seconds.
	mostOpen int
	// adapt changes the configuration of each gateway.
	adapt func(string) string
	// deadLetters tells that there may be some.
	deadLetters bool
	// noDuplicates tells that the faults explain none.
	noDuplicates bool
}

// all are the shares of a run in which all flows take part.
var all = map[string]float64{inAsync: 0.35, inSync: 0.2, outAsync: 0.3, outSync: 0.15}

// world is everything that takes part in a scenario.
type world struct {
	t      *testing.T
	plan   plan
	start  time.Time
	broker broker
	rabbit *rabbit // the broker, when it is one
	faults *ledger.Faults
	books  map[string]*ledger.Book
	paces  map[string]*pace

	service              *service
	consumers, providers []*replica
	callers              callers
	body                 func(id string) string
	replyPause           [2]time.Duration

	running sync.WaitGroup // readers and replies
	sending sync.WaitGroup // loads
	ctx     context.Context
	stop    context.CancelFunc
	// enough ends the sending of new messages.
	enough   context.Context
	stopLoad context.CancelFunc

	mu         sync.Mutex // guards complaints
	complaints []string

	// queues are all there are at the end; set by finish.
	queues []string
	// letters are the error codes of the dead letters, by id; set by finish.
	letters map[string]string
	// copies were sent by CC; set by finish.
	copies int
}

// newWorld starts services, gateways and readers.
func newWorld(t *testing.T, b broker, p plan) *world {
	t.Helper()
	w := &world{
		t: t, plan: p, start: time.Now(), broker: b, body: order,
		letters: map[string]string{},
		faults:  &ledger.Faults{Echo: 3*p.heartbeat + 5*time.Second},
		books:   map[string]*ledger.Book{}, paces: map[string]*pace{},
	}
	w.rabbit, _ = b.(*rabbit)
	for flow, share := range p.shares {
		last := ledger.Delivered
		if flow == inSync || flow == outSync {
			last = ledger.Answered
		}
		w.books[flow] = ledger.NewBook(prefixes[flow], last, w.faults)
		w.paces[flow] = newPace(p.rate * share)
	}
	w.ctx, w.stop = context.WithCancel(context.Background())
	w.enough, w.stopLoad = context.WithCancel(w.ctx)
	t.Cleanup(w.end)
	w.service = startService(t, w.served)
	for i := range max(p.replicas, 1) {
		w.consumers = append(w.consumers, w.newReplica(fmt.Sprintf("consumer-%d", i), consumer(w.service), b.consumer))
		w.providers = append(w.providers, w.newReplica(fmt.Sprintf("provider-%d", i), provider, b.provider))
		w.callers.conns = append(w.callers.conns, w.providers[i].conn)
	}
	w.running.Go(func() { b.read(w.ctx, queueOut, w.arrived(w.ctx)) })
	w.running.Go(func() { b.read(w.ctx, queueAnswers, w.answered) })
	return w
}

func (w *world) newReplica(name, config string, l link) *replica {
	if w.plan.adapt != nil {
		config = w.plan.adapt(config)
	}
	return newReplica(w.t, name, config, w.broker.address(), l, w.plan.heartbeat)
}

// end ends what still runs.
func (w *world) end() {
	w.stop()
	w.sending.Wait()
	w.running.Wait()
}

// replicas are all gateways.
func (w *world) replicas() []*replica { return slices.Concat(w.consumers, w.providers) }

// complain writes down something that must not be and belongs to no flow.
func (w *world) complain(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.complaints = append(w.complaints, fmt.Sprintf(format, args...))
}

// send starts the load of all flows.
func (w *world) send() {
	tries := map[string]func(context.Context, string) error{
		inAsync: w.put(queueIn, ""), inSync: w.put(queueAsk, queueAnswers), outAsync: w.call, outSync: w.ask,
	}
	for flow := range w.plan.shares {
		l := &load{
			name: flow, book: w.books[flow], pace: w.paces[flow], workers: max(w.plan.workers, 64),
			mostOpen: cmp.Or(w.plan.mostOpen, 3000), try: tries[flow],
		}
		w.sending.Go(func() { l.run(w.ctx, w.enough) })
	}
}

// sent counts the messages of all flows.
func (w *world) sent() int {
	n := 0
	for _, b := range w.books {
		n += b.Sent()
	}
	return n
}

// open counts the accepted messages on their way.
func (w *world) open() int {
	n := 0
	for _, b := range w.books {
		n += b.Open()
	}
	return n
}

// placed counts the messages that have reached their end.
func (w *world) placed() int {
	n := 0
	for _, b := range w.books {
		n += b.Placed()
	}
	return n
}

// standstill is how long nothing may move until a wait is given up.
const standstill = 3 * time.Minute

// await waits until done; it gives up when nothing moves any more.
func (w *world) await(what string, done func() bool) bool {
	w.t.Helper()
	told, moved, last := time.Now(), time.Now(), -1
	for !done() {
		if now := w.sent() + w.placed(); now != last {
			last, moved = now, time.Now()
		}
		if time.Since(moved) > standstill {
			w.t.Errorf("nothing moves since %v, waiting for %s", standstill, what)
			return false
		}
		if time.Since(told) > 10*time.Second {
			told = time.Now()
			w.tell(what)
		}
		time.Sleep(20 * time.Millisecond)
	}
	return true
}

// tell prints how far it is.
func (w *world) tell(what string) {
	if *long || *progress {
		fmt.Printf("%s %s: %d of %d sent, %d open, %d/s; waiting for %s; %s\n", time.Now().Format("15:04:05"),
			strings.TrimPrefix(w.t.Name(), "TestFaults/"), w.sent(), w.plan.messages, w.open(), w.rate(), what, w.faults.Kinds())
	}
}

// rate is the mean of the messages sent in a second.
func (w *world) rate() int { return int(float64(w.sent()) / max(time.Since(w.start).Seconds(), 1)) }

// awaitSent waits until so many messages were sent.
func (w *world) awaitSent(n int) bool {
	return w.await(fmt.Sprintf("%d messages", n), func() bool { return w.sent() >= n })
}
