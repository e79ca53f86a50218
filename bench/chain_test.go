package main_test

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"mqgateway/api/proto/gateway"
	"mqgateway/internal/flow"
	"mqgateway/internal/mapping"
	"mqgateway/internal/middleware"
	"mqgateway/internal/mq"
	"mqgateway/internal/routing"
)

// The bounds leave nothing over: whoever adds an allocation to each message says
// so here.
const (
	maxConsumed  = 4
	maxPublished = 9
	maxRouted    = 3
)

// TestConsumedMessageAllocations counts what one message costs from the broker's
// driver to the request that is sent, and back to its ack.
func TestConsumedMessageAllocations(t *testing.T) {
	countable(t)
	pass := consumer(t)
	if got := testing.AllocsPerRun(1000, pass); got > maxConsumed {
		t.Errorf("%v allocations a message, want at most %d", got, maxConsumed)
	}
}

// TestPublishedMessageAllocations counts what one message costs from the decoded
// call to the broker's driver, and back.
func TestPublishedMessageAllocations(t *testing.T) {
	countable(t)
	pass := provider(t)
	if got := testing.AllocsPerRun(1000, pass); got > maxPublished {
		t.Errorf("%v allocations a message, want at most %d", got, maxPublished)
	}
}

// TestRoutingAllocations: the size of a body does not matter, nor where in it the
// value stands.
func TestRoutingAllocations(t *testing.T) {
	countable(t)
	long := strings.Repeat("<a>text</a>", 1000)
	for name, body := range map[string]string{
		"XML, early": xml,
		"XML, long":  "<orders>" + long + "</orders>",
		"JSON":       `{"operation":"orders"}`,
		"JSON, late": `{"text":"` + long + `","operation":"orders"}`,
	} {
		router, m := newRouter(t), &flow.Message{Body: []byte(body)}
		got := testing.AllocsPerRun(100, func() {
			if _, err := router.Route(m); err != nil {
				t.Fatal(err)
			}
		})
		if got > maxRouted {
			t.Errorf("%s: %v allocations, want at most %d", name, got, maxRouted)
		}
	}
}

func countable(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector allocates, too")
	}
}

func BenchmarkConsumedMessage(b *testing.B) {
	pass := consumer(b)
	b.ReportAllocs()
	for b.Loop() {
		pass()
	}
}

func BenchmarkPublishedMessage(b *testing.B) {
	pass := provider(b)
	b.ReportAllocs()
	for b.Loop() {
		pass()
	}
}

// xml is a body of 1 KiB.
var xml = `<?xml version="1.0" encoding="UTF-8"?><orders>` + strings.Repeat("<a>text</a>", 88) + "</orders>"

// headers are what the application set.
func headers() []flow.Header {
	return []flow.Header{{Name: "a", Value: "one"}, {Name: "b", Value: "two"}, {Name: "c", Value: "three"}, {Name: "d", Value: "four"}}
}

var encoded []byte

// consumer wires the flow of a consumer between a broker in memory and the
// encoding of the request. The function that it returns passes one message.
func consumer(tb testing.TB) (pass func()) {
	router := newRouter(tb)
	counts := middleware.NewMetrics(prometheus.NewRegistry())
	target := func(_ context.Context, m *flow.Message) (_ *flow.Message, err error) {
		encoded, err = mapping.AppendProto(encoded[:0], m)
		return nil, err
	}
	handler := flow.Chain(target,
		counts.Measure("queue-to-service"),
		middleware.Recover,
		mapping.Text{}.Middleware,
		router.Middleware,
	)
	b := newMemory()
	metrics := mq.NewMetrics(prometheus.NewRegistry())
	log := slog.New(slog.DiscardHandler)
	managers := &mq.Managers{}
	listener := mq.NewListener(managers.Add("QM1", b, mq.ManagerOptions{Log: log, Metrics: metrics}), mq.Queue{Name: "IN"}, handler,
		mq.ListenerOptions{Concurrency: 4, Grace: flow.Grace(time.Second), Failure: func() *mq.Failure { return &mq.Failure{DeadLetters: &mq.DeadLetters{}} }, NewID: mapping.NewID, Log: log, Metrics: metrics})
	run(tb, listener.Run)
	d := &mq.Delivery{Settler: b, Message: flow.Message{
		ID: "00000001", CorrelID: "order-1", ContentType: "application/xml", Persistence: flow.Persistent,
		Headers: headers(), Body: []byte(xml), Source: flow.Source{Queue: "IN", Manager: "QM1", RoutingKey: "IN"},
	}}
	return func() {
		b.deliveries <- d
		if o := <-b.settled; o != mq.Ack {
			tb.Fatalf("outcome = %v, want ack", o)
		}
	}
}

func newRouter(tb testing.TB) *routing.Router {
	tb.Helper()
	find := routing.RuleConfig{Type: "fromBody", Value: "local-name(/*)", ValueJSON: "$.operation"}
	router, err := routing.New(routing.Config{RouteList: []routing.RouteConfig{{
		DestinationExpression: "Operation",
		Variables:             []routing.VariableConfig{{Name: "Operation", ValueFrom: []routing.RuleConfig{find}}},
	}}}, routing.Options{})
	if err != nil {
		tb.Fatal(err)
	}
	return router
}

// provider wires the flow of a provider, from the decoded call to a broker in
// memory.
func provider(tb testing.TB) (pass func()) {
	log := slog.New(slog.DiscardHandler)
	metrics := mq.NewMetrics(prometheus.NewRegistry())
	counts := middleware.NewMetrics(prometheus.NewRegistry())
	managers := &mq.Managers{}
	m := managers.Add("QM1", newMemory(), mq.ManagerOptions{Log: log, Metrics: metrics})
	run(tb, m.Run)
	publisher := mq.NewPublisher(managers, time.Minute)
	handler := flow.Chain(publisher.Handle,
		counts.Measure("service-to-queue"), middleware.Recover, middleware.LogFailures(log, "service-to-queue"))
	outbound := mapping.NewOutbound(mapping.OutboundOptions{Role: flow.Provider, SendQueue: "OUT", Managers: []string{"QM1"}})
	p := &gateway.ProtoMessage{
		MessageId: "00000001", CorrelationId: "order-1", Body: xml,
		SystemHeaders: map[string]string{"ReplyToQ": "replies", "Priority": "4", "ContentType": "application/xml"},
		UserHeaders:   map[string]string{"a": "one", "b": "two", "c": "three", "d": "four"},
	}
	call := &flow.Call{Authority: "gateway"}
	return func() {
		message, err := outbound.FromProto(p, call)
		if err == nil {
			_, err = handler(tb.Context(), message)
		}
		if err != nil {
			tb.Fatal(err)
		}
	}
}

// run runs what has to run until the test ends.
func run(tb testing.TB, do func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	var group sync.WaitGroup
	group.Go(func() { _ = do(ctx) })
	tb.Cleanup(func() { cancel(); group.Wait() })
}

// memory is a broker whose one queue is a channel. It is its own subscription.
type memory struct {
	deliveries chan *mq.Delivery
	settled    chan mq.Outcome
	states     chan mq.State
}

func newMemory() *memory {
	return &memory{deliveries: make(chan *mq.Delivery), settled: make(chan mq.Outcome), states: make(chan mq.State)}
}

func (b *memory) Check(context.Context) error { return nil }

func (b *memory) Publish(context.Context, flow.Address, *flow.Message) error { return nil }

func (b *memory) States() <-chan mq.State { return b.states }

func (b *memory) Subscribe(context.Context, mq.Queue) (mq.Subscription, error) { return b, nil }

func (b *memory) Receive(ctx context.Context) (*mq.Delivery, error) {
	select {
	case d, ok := <-b.deliveries:
		if !ok {
			return nil, mq.ErrCancelled
		}
		return d, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (b *memory) Lost() <-chan struct{} { return nil }

func (b *memory) Settle(_ *mq.Delivery, o mq.Outcome) error {
	b.settled <- o
	return nil
}

func (b *memory) Cancel(context.Context) error {
	close(b.deliveries)
	return nil
}

func (b *memory) Close() error { return nil }
