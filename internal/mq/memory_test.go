package mq_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"mqgateway/internal/flow"
	"mqgateway/internal/mq"
	"mqgateway/test/leaks"
)

func TestMain(m *testing.M) { os.Exit(leaks.Main(m)) }

var errCut = errors.New("connection reset")

// memory is a broker in memory, as little of one as listeners and publishers
// need. Queues exist from their first use.
type memory struct {
	mu      sync.Mutex // guards all below
	queues  map[string]chan *mq.Delivery
	subs    []*memorySub
	settled []mq.Outcome
	sent    []flow.Message
	// later are the messages that were held back; each comes back after its delay.
	later    []heldBack
	hold     error                                   // why messages can't be held back
	publish  func(flow.Address, *flow.Message) error // nil: it works
	check    error
	missing  bool  // queues are missing
	refuse   error // why queues can't be read
	declared []mq.Queue
	states   chan mq.State
	routes   bool // what is published comes to its queue
	groups   map[string][]string
	mute     error // why nothing can be broadcast
	partly   error // why not all of a group have what is broadcast
}

func newMemory() *memory {
	return &memory{queues: map[string]chan *mq.Delivery{}, states: make(chan mq.State, 1), groups: map[string][]string{}}
}

func (b *memory) queue(name string) chan *mq.Delivery {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.queues[name] == nil {
		b.queues[name] = make(chan *mq.Delivery, 1000)
	}
	return b.queues[name]
}

// put adds messages to a queue.
func (b *memory) put(queue string, messages ...flow.Message) {
	for _, m := range messages {
		m.Source = flow.Source{Queue: queue, Manager: "M", Deliveries: m.Source.Deliveries}
		b.queue(queue) <- &mq.Delivery{Message: m}
	}
}

func (b *memory) Check(context.Context) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.check
}

func (b *memory) Declare(_ context.Context, q mq.Queue) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.declared = append(b.declared, q)
	return nil
}

func (b *memory) Publish(ctx context.Context, to flow.Address, m *flow.Message) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.publish != nil {
		if err := b.publish(to, m); err != nil {
			return err
		}
	}
	sent := *m
	sent.To = to
	b.sent = append(b.sent, sent)
	if b.routes {
		return b.route(to.Key, sent)
	}
	return ctx.Err()
}

// route puts a message on a queue that is there.
func (b *memory) route(queue string, m flow.Message) error {
	if b.queues[queue] == nil {
		return mq.ErrReturned
	}
	m.Source = flow.Source{Queue: queue, Manager: "M"}
	b.queues[queue] <- &mq.Delivery{Message: m}
	return nil
}

func (b *memory) Join(_ context.Context, group string, q mq.Queue) error {
	b.queue(q.Name)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.missing {
		return errors.New("access refused")
	}
	b.declared = append(b.declared, q)
	if !slices.Contains(b.groups[group], q.Name) {
		b.groups[group] = append(b.groups[group], q.Name)
	}
	return nil
}

func (b *memory) Broadcast(_ context.Context, group string, m *flow.Message) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.mute != nil {
		return b.mute
	}
	if len(b.groups[group]) == 0 {
		return mq.ErrReturned
	}
	for _, queue := range b.groups[group] {
		sent := *m
		sent.To = flow.Address{Exchange: group, Key: queue}
		b.sent = append(b.sent, sent)
		if err := b.route(queue, sent); err != nil {
			return err
		}
	}
	return b.partly
}

// heldBack is a message that was held back.
type heldBack struct {
	flow.Message
	delay time.Duration
	at    time.Time
}

func (b *memory) PublishLater(ctx context.Context, queue string, delay time.Duration, m *flow.Message) error {
	back := b.queue(queue)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.hold != nil {
		return b.hold
	}
	b.later = append(b.later, heldBack{*m, delay, time.Now()})
	d := &mq.Delivery{Message: *m}
	d.Message.Source = flow.Source{Queue: queue, Manager: "M", Exchange: m.Source.Exchange, RoutingKey: m.Source.RoutingKey, Delayed: true}
	time.AfterFunc(delay, func() { back <- d })
	return ctx.Err()
}

func (b *memory) parked() []heldBack {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]heldBack(nil), b.later...)
}

func (b *memory) Subscribe(_ context.Context, q mq.Queue) (mq.Subscription, error) {
	deliveries := b.queue(q.Name)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.missing {
		return nil, mq.ErrNoQueue
	}
	if b.refuse != nil {
		return nil, b.refuse
	}
	s := &memorySub{broker: b, prefetch: q.Prefetch, deliveries: deliveries, lost: make(chan struct{}), cancelled: make(chan struct{})}
	b.subs = append(b.subs, s)
	return s, nil
}

func (b *memory) States() <-chan mq.State { return b.states }

func (b *memory) Close() error { return nil }

// cut loses the newest subscription.
func (b *memory) cut() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.subs[len(b.subs)-1].lose()
}

func (b *memory) outcomes() []mq.Outcome {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]mq.Outcome(nil), b.settled...)
}

// prefetches are those of all subscriptions so far.
func (b *memory) prefetches() (all []int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, s := range b.subs {
		all = append(all, s.prefetch)
	}
	return all
}

func (b *memory) published() []flow.Message {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]flow.Message(nil), b.sent...)
}

type memorySub struct {
	broker     *memory
	prefetch   int
	deliveries chan *mq.Delivery
	lost       chan struct{}
	cancelled  chan struct{}
	once       sync.Once
	cancelOnce sync.Once
}

func (s *memorySub) lose() { s.once.Do(func() { close(s.lost) }) }

func (s *memorySub) Receive(ctx context.Context) (*mq.Delivery, error) {
	select {
	case <-s.lost:
		return nil, errCut
	default:
	}
	select {
	case d := <-s.deliveries:
		d.Settler = s
		return d, nil
	default:
	}
	select {
	case d := <-s.deliveries:
		d.Settler = s
		return d, nil
	case <-s.lost:
		return nil, errCut
	case <-s.cancelled:
		return nil, mq.ErrCancelled
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (s *memorySub) Lost() <-chan struct{} { return s.lost }

func (s *memorySub) Settle(_ *mq.Delivery, o mq.Outcome) error {
	select {
	case <-s.lost:
		return mq.ErrStale
	default:
	}
	s.broker.mu.Lock()
	defer s.broker.mu.Unlock()
	s.broker.settled = append(s.broker.settled, o)
	return nil
}

func (s *memorySub) Cancel(context.Context) error {
	s.cancelOnce.Do(func() { close(s.cancelled) })
	return nil
}

func (s *memorySub) Close() error { s.lose(); return nil }

// bench is a memory broker with what listeners and publishers need around it.
type bench struct {
	broker   *memory
	managers *mq.Managers
	manager  *mq.Manager
	registry *prometheus.Registry
	metrics  *mq.Metrics
	logged   *syncBuffer
	log      *slog.Logger
}

func newBench() *bench {
	broker := newMemory()
	return newBenchOn(broker, broker)
}

// newBenchOn is a bench on a broker, as it is seen through driver.
func newBenchOn(broker *memory, driver mq.Broker) *bench {
	b := &bench{broker: broker, managers: &mq.Managers{}, registry: prometheus.NewRegistry(), logged: &syncBuffer{}}
	b.log = slog.New(slog.NewTextHandler(b.logged, nil))
	b.metrics = mq.NewMetrics(b.registry)
	b.manager = b.add("M", driver)
	return b
}

func (b *bench) add(id string, broker mq.Broker) *mq.Manager {
	return b.managers.Add(id, broker, mq.ManagerOptions{ReplyWait: replyWait, Log: b.log, Metrics: b.metrics})
}

// counter reads a metric that has one label set.
func (b *bench) counter(t *testing.T, name string) float64 {
	t.Helper()
	families, err := b.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	return sum
}

// syncBuffer is a buffer for logs that goroutines write and the test reads.
type syncBuffer struct {
	mu sync.Mutex // guards b
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) count(text string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Count(s.b.String(), text)
}
