package rabbitmq_test

import (
	"context"
	"errors"
	"math"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	amqp "github.com/rabbitmq/amqp091-go"

	"mqgateway/internal/flow"
	"mqgateway/internal/mq"
	"mqgateway/internal/mq/rabbitmq"
	"mqgateway/test/rabbittest"
)

func TestMissingQueue(t *testing.T) {
	t.Parallel()
	_, b := openShared(t)
	_, err := b.Subscribe(within(t), mq.Queue{Name: "q", Prefetch: 1})
	if !errors.Is(err, mq.ErrNoQueue) || !strings.Contains(err.Error(), "mq.connection.declareQueues") {
		t.Errorf("Subscribe() = %v, want %v with the remedy", err, mq.ErrNoQueue)
	}
	if err := b.Declare(within(t), mq.Queue{Name: "q"}); !errors.Is(err, mq.ErrNoQueue) {
		t.Errorf("Declare() = %v, want %v", err, mq.ErrNoQueue)
	}
	long := strings.Repeat("x", 256)
	if _, err := b.Subscribe(within(t), mq.Queue{Name: long}); err == nil || !strings.Contains(err.Error(), "256 bytes") {
		t.Errorf("Subscribe() to a name of 256 bytes = %v", err)
	}
}

func TestDeclare(t *testing.T) {
	t.Parallel()
	_, b := openShared(t)
	for _, tt := range []struct {
		name string
		q    mq.Queue
	}{
		{"classic", mq.Queue{Name: "c", Kind: mq.Classic}},
		{"quorum", mq.Queue{Name: "q", Kind: mq.Quorum}},
		{"unlimited quorum", mq.Queue{Name: "u", Kind: mq.Quorum, Unlimited: true}},
		{"longest life", mq.Queue{Name: "l", Kind: mq.Quorum, Expires: math.MaxInt64, TTL: math.MaxInt64}},
		{"there already, as another kind", mq.Queue{Name: "c", Kind: mq.Quorum}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := b.Declare(within(t), tt.q); err != nil {
				t.Fatal(err)
			}
			publish(t, b, tt.q.Name, &flow.Message{})
		})
	}
	if err := b.Declare(within(t), mq.Queue{Name: "shortest life", Kind: mq.Classic, Expires: 1, TTL: 1}); err != nil {
		t.Error(err)
	}
	tt := mq.Queue{Name: "subscribed", Kind: mq.Quorum, Prefetch: 1}
	sub, err := b.Subscribe(within(t), tt)
	if err != nil {
		t.Fatal(err)
	}
	publish(t, b, tt.Name, &flow.Message{ID: "1"})
	if d := receive(t, sub); d.Message.ID != "1" {
		t.Errorf("message %q, want 1", d.Message.ID)
	}
}

// work receives with many workers and settles by outcome, until the queue is empty.
func work(t *testing.T, v *rabbittest.VHost, b *rabbitmq.Broker, workers, prefetch int, outcome func(d *mq.Delivery) mq.Outcome) {
	t.Helper()
	sub := subscribe(t, b, "q", prefetch)
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	for range workers {
		group.Go(func() {
			for {
				d, err := sub.Receive(ctx)
				if err != nil {
					if ctx.Err() == nil {
						t.Errorf("Receive() = %v", err)
					}
					return
				}
				if err := d.Settle(outcome(d)); err != nil {
					t.Errorf("Settle() = %v", err)
				}
			}
		})
	}
	eventually(t, "all messages are settled", func() bool { return v.Messages(t, "q") == 0 })
	cancel()
	group.Wait()
	if err := sub.Close(); err != nil {
		t.Error(err)
	}
}

func TestAllAreAcked(t *testing.T) {
	t.Parallel()
	v := rabbittest.Shared(t).VHost(t)
	declare(t, v, "q")
	put(t, v, "q", 3000)
	var acked atomic.Int64
	work(t, v, open(t, v), 16, 64, func(*mq.Delivery) mq.Outcome {
		acked.Add(1)
		return mq.Ack
	})
	if acked.Load() != 3000 {
		t.Errorf("%d deliveries, want 3000", acked.Load())
	}
}

func TestAllOutcomesTogether(t *testing.T) {
	t.Parallel()
	v := rabbittest.Shared(t).VHost(t)
	declare(t, v, "q")
	put(t, v, "q", 2000)
	var first, again atomic.Int64
	work(t, v, open(t, v), 16, 50, func(d *mq.Delivery) mq.Outcome {
		if d.Message.Source.Redelivered {
			again.Add(1)
			return mq.Ack
		}
		return [...]mq.Outcome{mq.Ack, mq.Retry, mq.Return, mq.Reject}[first.Add(1)%4]
	})
	if first.Load() != 2000 || again.Load() != 1000 {
		t.Errorf("%d first deliveries and %d repeated ones, want 2000 and 1000", first.Load(), again.Load())
	}
}

// One message in work for long must not stop the others, however small the
// prefetch is.
func TestSlowMessageDoesNotStall(t *testing.T) {
	t.Parallel()
	v := rabbittest.Shared(t).VHost(t)
	declare(t, v, "q")
	put(t, v, "q", 500)
	b := open(t, v)
	sub := subscribe(t, b, "q", 4)
	slow := receive(t, sub)
	for range 499 {
		if err := receive(t, sub).Settle(mq.Ack); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "all but the slow one are acked", func() bool { return v.Messages(t, "q") == 1 })
	if err := slow.Settle(mq.Ack); err != nil {
		t.Fatal(err)
	}
	eventually(t, "all are acked", func() bool { return v.Messages(t, "q") == 0 })
}

// The server ends the consumer, and the channel lives on.
func TestServerCancels(t *testing.T) {
	t.Parallel()
	v, b := openShared(t, "q")
	put(t, v, "q", 3)
	sub := subscribe(t, b, "q", 1)
	d := receive(t, sub)
	ended := make(chan error, 2)
	for range cap(ended) {
		go func() {
			_, err := sub.Receive(within(t))
			ended <- err
		}()
	}
	if _, err := v.Channel(t).QueueDelete("q", false, false, false); err != nil {
		t.Fatal(err)
	}
	for range cap(ended) {
		if err := <-ended; err == nil || !strings.Contains(err.Error(), "the queue was deleted") || errors.Is(err, mq.ErrCancelled) {
			t.Errorf("Receive() = %v, want that the queue was deleted", err)
		}
	}
	if err := d.Settle(mq.Ack); err != nil {
		t.Errorf("Settle() of a delivery of a deleted queue = %v", err)
	}
	if err := sub.Close(); err != nil {
		t.Errorf("Close() = %v", err)
	}
	declare(t, v, "q")
	put(t, v, "q", 1)
	receive(t, subscribe(t, b, "q", 1))
}

// Deliveries in hand when the connection goes are stale, and their late acks
// touch nothing of the next connection.
func TestConnectionIsClosedWithDeliveriesInHand(t *testing.T) {
	t.Parallel()
	v := rabbittest.Shared(t).VHost(t)
	declare(t, v, "q")
	const n = 100
	put(t, v, "q", n)
	b := open(t, v)
	for round := range 5 {
		sub := subscribe(t, b, "q", n)
		var inHand []*mq.Delivery
		for range n {
			inHand = append(inHand, receive(t, sub))
		}
		v.CloseConnections(t)
		if _, err := sub.Receive(within(t)); err == nil || !strings.Contains(err.Error(), "connection is lost") {
			t.Errorf("Receive() = %v, want a lost connection", err)
		}
		next := subscribe(t, b, "q", n)
		for _, d := range inHand {
			if err := d.Settle(mq.Outcome(round % 4)); !errors.Is(err, mq.ErrStale) {
				t.Fatalf("late settle = %v, want %v", err, mq.ErrStale)
			}
		}
		if d := receive(t, next); !d.Message.Source.Redelivered {
			t.Error("message is not delivered again")
		}
		if err := errors.Join(sub.Close(), next.Close()); err != nil {
			t.Error(err)
		}
	}
	if got := v.Messages(t, "q"); got != n {
		t.Errorf("%d messages in the queue, want %d", got, n)
	}
}

func TestCancelGivesWhatWasSent(t *testing.T) {
	t.Parallel()
	v := rabbittest.Shared(t).VHost(t)
	declare(t, v, "q")
	put(t, v, "q", 20)
	b := open(t, v)
	sub := subscribe(t, b, "q", 10)
	inHand := []*mq.Delivery{receive(t, sub)}
	if err := sub.Cancel(within(t)); err != nil {
		t.Fatal(err)
	}
	for {
		d, err := sub.Receive(within(t))
		if err != nil {
			if !errors.Is(err, mq.ErrCancelled) {
				t.Errorf("Receive() = %v, want %v", err, mq.ErrCancelled)
			}
			break
		}
		inHand = append(inHand, d)
	}
	for _, d := range inHand {
		if err := d.Settle(mq.Ack); err != nil {
			t.Error(err)
		}
	}
	if err := errors.Join(sub.Close(), sub.Close()); err != nil {
		t.Error(err)
	}
	if err := inHand[0].Settle(mq.Ack); !errors.Is(err, mq.ErrStale) {
		t.Errorf("Settle() after Close() = %v, want %v", err, mq.ErrStale)
	}
	if _, err := sub.Receive(within(t)); !errors.Is(err, mq.ErrCancelled) {
		t.Errorf("Receive() after Close() = %v, want %v", err, mq.ErrCancelled)
	}
	eventually(t, "what was not sent remains", func() bool { return v.Messages(t, "q") == 20-len(inHand) })
}

// Quorum queues count deliveries: a retry always, a return not from 4.3 on.
func TestDeliveriesAreCounted(t *testing.T) {
	t.Parallel()
	_, b := openShared(t)
	sub, err := b.Subscribe(within(t), mq.Queue{Name: "q", Kind: mq.Quorum, Prefetch: 1})
	if err != nil {
		t.Fatal(err)
	}
	publish(t, b, "q", &flow.Message{ID: "1"})
	for want := range 3 {
		d := receive(t, sub)
		if got := d.Message.Source.Deliveries; got != want {
			t.Errorf("delivery %d: %d earlier ones are told", want+1, got)
		}
		if err := d.Settle(mq.Retry); err != nil {
			t.Fatal(err)
		}
	}
}

// Every property and every type of header comes back as it was sent.
func TestRoundTrip(t *testing.T) {
	t.Parallel()
	_, b := openShared(t, "q")
	at := time.Date(2026, 11, 23, 4, 5, 6, 0, time.UTC)
	sent := &flow.Message{
		ID: "id", CorrelID: "correl", ReplyTo: "replies", ReplyToManager: "QM2",
		Expiry: time.Hour, Priority: 7, Persistence: flow.NonPersistent, Type: flow.Report,
		JMSType: "type", Timestamp: at, UserID: "guest", AppID: "app",
		ContentType: "text/plain; charset=utf-8", ContentEncoding: "gzip",
		Body: []byte("тело"),
		Headers: []flow.Header{
			{Name: "nil", Value: nil},
			{Name: "bool", Value: true},
			{Name: "string", Value: "строка"},
			{Name: "bytes", Value: []byte{0, 255}},
			{Name: "time", Value: at},
			{Name: "decimal", Value: flow.Decimal{Scale: 2, Value: -12345}},
			{Name: "int8", Value: int8(-8)},
			{Name: "int16", Value: int16(-16)},
			{Name: "int32", Value: int32(-32)},
			{Name: "int64", Value: int64(-1 << 62)},
			{Name: "uint8", Value: uint8(200)},
			{Name: "uint16", Value: uint16(60000)},
			{Name: "uint32", Value: uint32(4_000_000_000)},
			{Name: "float32", Value: float32(1.5)},
			{Name: "float64", Value: -2.25},
			{Name: "table", Value: map[string]any{"decimal": flow.Decimal{Scale: 1, Value: 5}, "array": []any{int64(1), "two", map[string]any{"three": nil}}}},
			{Name: "array", Value: []any{[]any{true}, map[string]any{}, at}},
			{Name: "x-mq-msg-type", Value: int32(1)},
			{Name: "x-own", Value: "kept"},
		},
	}
	publish(t, b, "q", sent)
	got := receive(t, subscribe(t, b, "q", 1)).Message

	want := *sent
	want.Headers = append([]flow.Header(nil), sent.Headers...)
	want.Headers[17].Value = int32(flow.Report)
	want.Headers = append(want.Headers, flow.Header{Name: "x-reply-to-manager", Value: "QM2"})
	want.Source = flow.Source{Queue: "q", Manager: manager, RoutingKey: "q"}
	byName := cmpopts.SortSlices(func(a, b flow.Header) bool { return a.Name < b.Name })
	sameTime := cmp.Comparer(func(a, b time.Time) bool { return a.Equal(b) })
	if diff := cmp.Diff(want, got, byName, sameTime); diff != "" {
		t.Errorf("message (-want +got):\n%s", diff)
	}
	if sent.Headers[17].Value != int32(1) {
		t.Error("the message that was published was changed")
	}
}

// Numbers that have no type on the wire get the next one that has.
func TestIntegersAreWidened(t *testing.T) {
	t.Parallel()
	_, b := openShared(t, "q")
	publish(t, b, "q", headers("h", []any{3_000_000_000, uint64(1 << 62), uint(7)}))
	got := receive(t, subscribe(t, b, "q", 1)).Message.Headers
	want := []flow.Header{{Name: "h", Value: []any{int64(3_000_000_000), int64(1 << 62), int64(7)}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("headers (-want +got):\n%s", diff)
	}
}

// What foreign programs write is read as far as it makes sense.
func TestForeignMessages(t *testing.T) {
	t.Parallel()
	v := rabbittest.Shared(t).VHost(t)
	declare(t, v, "q")
	ch := v.Channel(t)
	sub := subscribe(t, open(t, v), "q", 1)
	for _, tt := range []struct {
		name string
		p    amqp.Publishing
		want flow.Message
	}{
		{"bare", amqp.Publishing{}, flow.Message{}},
		{"type as text", amqp.Publishing{Headers: amqp.Table{"x-mq-msg-type": "8"}}, flow.Message{Type: flow.Datagram}},
		{"type as number", amqp.Publishing{Headers: amqp.Table{"x-mq-msg-type": int64(2)}}, flow.Message{Type: flow.Reply}},
		{"unknown type", amqp.Publishing{Headers: amqp.Table{"x-mq-msg-type": int64(258)}}, flow.Message{}},
		{"type of another kind", amqp.Publishing{Headers: amqp.Table{"x-mq-msg-type": true}}, flow.Message{}},
		{"manager of another kind", amqp.Publishing{Headers: amqp.Table{"x-reply-to-manager": int32(5)}}, flow.Message{}},
		{"count of its own", amqp.Publishing{Headers: amqp.Table{"x-delivery-count": int16(3)}}, flow.Message{Source: flow.Source{Deliveries: 3}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := ch.Publish("", "q", false, false, tt.p); err != nil {
				t.Fatal(err)
			}
			d := receive(t, sub)
			got := d.Message
			got.Headers, got.Body = nil, nil
			tt.want.Source.Queue, tt.want.Source.RoutingKey, tt.want.Source.Manager = "q", "q", manager
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("message (-want +got):\n%s", diff)
			}
			if err := d.Settle(mq.Ack); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// Headers that the client library can't read would end the connection, and the
// message would come back for ever.
func TestUnreadableHeaders(t *testing.T) {
	t.Parallel()
	v := rabbittest.Shared(t).VHost(t)
	declare(t, v, "q")
	ch := v.Channel(t)
	sub := subscribe(t, open(t, v), "q", 100)
	var deep any = "bottom"
	for range 40 {
		deep = amqp.Table{"in": deep}
	}
	table := amqp.Table{}
	for i := range 8200 {
		table[strconv.Itoa(i)] = nil
	}
	for _, tt := range []struct {
		name    string
		headers amqp.Table
		want    []flow.Header
	}{
		{"deep", amqp.Table{"deep": deep, "good": "one"}, []flow.Header{{Name: "good", Value: "one"}, {Name: "x-gateway-cut", Value: "deep"}}},
		{"deep in an array", amqp.Table{"deep": []any{deep}}, []flow.Header{{Name: "x-gateway-cut", Value: "deep"}}},
		{"long array", amqp.Table{"good": int32(1), "long": make([]any, 8193)}, []flow.Header{{Name: "good", Value: int32(1)}, {Name: "x-gateway-cut", Value: "long"}}},
		{"long table", amqp.Table{"long": table}, []flow.Header{{Name: "x-gateway-cut", Value: "long"}}},
		{"readable", amqp.Table{"long": make([]any, 8192)}, []flow.Header{{Name: "long", Value: make([]any, 8192)}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := amqp.Publishing{Headers: tt.headers, ContentType: "text/plain", MessageId: tt.name, Body: []byte("body")}
			if err := ch.Publish("", "q", false, false, p); err != nil {
				t.Fatal(err)
			}
			d := receive(t, sub)
			if d.Message.ID != tt.name || d.Message.ContentType != "text/plain" || string(d.Message.Body) != "body" {
				t.Errorf("message %+v, want the rest of it", d.Message)
			}
			byName := cmpopts.SortSlices(func(a, b flow.Header) bool { return a.Name < b.Name })
			if diff := cmp.Diff(tt.want, d.Message.Headers, byName); diff != "" {
				t.Errorf("headers (-want +got):\n%s", diff)
			}
		})
	}
	if err := ch.Publish("", "q", false, false, amqp.Publishing{Headers: table}); err != nil {
		t.Fatal(err)
	}
	if got := receive(t, sub).Message.Headers; len(got) != 8192 {
		t.Errorf("%d of 8200 headers are left, want 8192", len(got))
	}
}
