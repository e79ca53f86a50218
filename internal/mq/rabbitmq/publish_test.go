package rabbitmq_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"mqgateway/internal/flow"
	"mqgateway/internal/mq"
	"mqgateway/internal/mq/rabbitmq"
	"mqgateway/test/rabbittest"
)

// publishers publish good messages to a queue until they are stopped.
type publishers struct {
	t       *testing.T
	stopped chan struct{}
	done    sync.WaitGroup
	sent    atomic.Int64
	failed  atomic.Int64
}

// publishGood starts n publishers whose every message must be confirmed.
func publishGood(t *testing.T, b *rabbitmq.Broker, queue string, n int) *publishers {
	p := &publishers{t: t, stopped: make(chan struct{})}
	for range n {
		p.done.Go(func() {
			for {
				select {
				case <-p.stopped:
					return
				default:
				}
				err := b.Publish(t.Context(), toQueue(queue), &flow.Message{ID: "good", Body: []byte("good")})
				if err != nil {
					p.failed.Add(1)
					t.Errorf("a good message: %v", err)
					return
				}
				p.sent.Add(1)
			}
		})
	}
	return p
}

// more waits until n more messages were published.
func (p *publishers) more(n int64) {
	p.t.Helper()
	want := p.sent.Load() + n
	eventually(p.t, "good messages are published", func() bool { return p.sent.Load() >= want || p.failed.Load() > 0 })
}

func (p *publishers) stop() int {
	close(p.stopped)
	p.done.Wait()
	return int(p.sent.Load())
}

func headers(name string, value any) *flow.Message {
	return &flow.Message{Headers: []flow.Header{{Name: name, Value: value}}}
}

func nested(depth int) any {
	var v any = "deep"
	for range depth {
		v = map[string]any{"in": v}
	}
	return v
}

var poisons = []struct {
	name string
	to   flow.Address
	m    *flow.Message
	want string // in the error
}{
	{name: "id", m: &flow.Message{ID: strings.Repeat("x", 256)}, want: "MsgId has 256 bytes; the limit is 255"},
	{name: "correlation id", m: &flow.Message{CorrelID: strings.Repeat("я", 128)}, want: "CorrelId has 256 bytes"},
	{name: "reply to", m: &flow.Message{ReplyTo: strings.Repeat("x", 256)}, want: "ReplyToQ"},
	{name: "reply to of an inbox", m: &flow.Message{ReplyTo: "amq.rabbitmq.reply-to"}, want: "ReplyToQ"},
	{name: "type", m: &flow.Message{JMSType: strings.Repeat("x", 256)}, want: "Type"},
	{name: "app id", m: &flow.Message{AppID: strings.Repeat("x", 256)}, want: "PutApplName"},
	{name: "content type", m: &flow.Message{ContentType: strings.Repeat("x", 256)}, want: "ContentType"},
	{name: "content encoding", m: &flow.Message{ContentEncoding: strings.Repeat("x", 256)}, want: "ContentEncoding"},
	{name: "foreign user", m: &flow.Message{UserID: "somebody"}, want: `UserIdentifier "somebody"`},
	{name: "routing key", to: flow.Address{Key: strings.Repeat("x", 256)}, want: "routing key"},
	{name: "exchange", to: flow.Address{Exchange: strings.Repeat("x", 256)}, want: "exchange"},
	{name: "header name", m: headers(strings.Repeat("x", 300), "v"), want: "the name has 300 bytes"},
	{name: "name in a table", m: headers("h", map[string]any{strings.Repeat("x", 256): 1}), want: `header "h"`},
	{name: "name in a table in an array", m: headers("h", []any{map[string]any{strings.Repeat("x", 256): 1}}), want: "element 0"},
	{name: "large uint64", m: headers("h", uint64(math.MaxUint64)), want: `header "h": 18446744073709551615`},
	{name: "large uint64 in an array", m: headers("h", []any{uint64(math.MaxUint64)}), want: "element 0"},
	{name: "unknown type", m: headers("h", struct{}{}), want: "struct {}"},
	{name: "NaN", m: headers("h", math.NaN()), want: "NaN"},
	{name: "infinity in a table", m: headers("h", map[string]any{"x": float32(math.Inf(-1))}), want: "-Inf"},
	{name: "CC is no array", m: headers("CC", "other"), want: `header "CC"`},
	{name: "BCC is no array", m: headers("BCC", int32(1)), want: `header "BCC"`},
	{name: "forged reply address in CC", m: headers("CC", []any{"q", "amq.rabbitmq.reply-to.x"}), want: "reply address"},
	{name: "deep nesting", m: headers("h", nested(33)), want: "nested deeper than 32"},
	{name: "many elements", m: headers("h", make([]any, 8193)), want: "8193 elements"},
	{name: "large header", m: headers("h", strings.Repeat("x", 64<<10)), want: "headers have"},
	{name: "large headers", m: manyHeaders(40, 2000), want: "headers have"},
	{name: "negative expiry", m: &flow.Message{Expiry: -time.Millisecond}, want: "Expiry"},
	{name: "expiry of half a millisecond", m: &flow.Message{Expiry: time.Millisecond / 2}, want: "Expiry"},
	{name: "endless expiry", m: &flow.Message{Expiry: flow.MaxExpiry + time.Millisecond}, want: "Expiry"},
	{name: "large body", m: &flow.Message{Body: make([]byte, 128<<20+1)}, want: "body has 134217729 bytes"},
}

func manyHeaders(n, size int) *flow.Message {
	m := &flow.Message{}
	for i := range n {
		m.Headers = append(m.Headers, flow.Header{Name: fmt.Sprint(i), Value: strings.Repeat("x", size)})
	}
	return m
}

// A message that would end the channel or the connection is refused, while
// others are published on them.
func TestPoisonIsRefused(t *testing.T) {
	t.Parallel()
	v, b := openShared(t, "q")
	publish(t, b, "q", &flow.Message{})
	shared := b.SharedChannel()
	good := publishGood(t, b, "q", 4)
	for _, tt := range poisons {
		t.Run(tt.name, func(t *testing.T) {
			if tt.to == (flow.Address{}) {
				tt.to = toQueue("q")
			}
			if tt.m == nil {
				tt.m = &flow.Message{}
			}
			err := b.Publish(within(t), tt.to, tt.m)
			if flow.CodeOf(err) != flow.BadMessage || !strings.Contains(fmt.Sprint(err), tt.want) {
				t.Errorf("Publish() = %v (code %d), want code %d with %q", err, flow.CodeOf(err), flow.BadMessage, tt.want)
			}
			if len(fmt.Sprint(err)) > 300 {
				t.Errorf("the error has %d bytes: it shows the value", len(fmt.Sprint(err)))
			}
			good.more(5)
		})
	}
	sent := good.stop() + 1
	keepsChannel(t, b, shared)
	if got := v.Messages(t, "q"); got != sent {
		t.Errorf("%d messages in the queue, want %d", got, sent)
	}
}

// What the guards let pass is at their limits, and the broker takes it.
func TestLimitsAreTaken(t *testing.T) {
	t.Parallel()
	_, b := openShared(t, "q")
	longest := strings.Repeat("x", 255)
	tests := []struct {
		name string
		m    *flow.Message
	}{
		{"short strings", &flow.Message{
			ID: longest, CorrelID: longest, ReplyTo: longest, JMSType: longest, AppID: longest,
			ContentType: longest, ContentEncoding: longest, UserID: "guest",
		}},
		{"longest life", &flow.Message{Expiry: flow.MaxExpiry}},
		{"header name", headers(longest, "v")},
		{"header size", headers("h", strings.Repeat("x", 64<<10-11))},
		{"depth", headers("h", nested(32))},
		{"elements", headers("h", make([]any, 8192))},
		{"many headers", manyHeaders(4000, 1)},
		{"negative timestamp", &flow.Message{Timestamp: time.Unix(-5, 0)}},
		{"empty name", headers("", "v")},
		{"not UTF-8", &flow.Message{ID: "\xff", Headers: []flow.Header{{Name: "\xfe", Value: "\xfd"}}}},
		{"CC", headers("CC", []any{"elsewhere", int32(1)})},
		{"odd x-death", headers("x-death", "none")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			publish(t, b, "q", tt.m)
		})
	}
	sub := subscribe(t, b, "q", 1)
	for range tests {
		if err := receive(t, sub).Settle(mq.Ack); err != nil {
			t.Fatal(err)
		}
	}
}

func TestPublishOutcomes(t *testing.T) {
	t.Parallel()
	v := rabbittest.Shared(t).VHost(t)
	declare(t, v, "q")
	ch := v.Channel(t)
	if _, err := ch.QueueDeclare("full", true, false, false, false, amqp.Table{"x-max-length": 1, "x-overflow": "reject-publish"}); err != nil {
		t.Fatal(err)
	}
	if err := ch.ExchangeDeclare("inner", "fanout", true, false, true, false, nil); err != nil {
		t.Fatal(err)
	}
	if err := ch.ExchangeDeclare("x", "fanout", true, false, false, false, nil); err != nil {
		t.Fatal(err)
	}
	b := open(t, v)
	publish(t, b, "full", &flow.Message{})
	for _, tt := range []struct {
		name string
		to   flow.Address
		want error
		text string
	}{
		{"no queue", toQueue("missing"), mq.ErrReturned, "NO_ROUTE"},
		{"nothing bound", flow.Address{Exchange: "x", Key: "k"}, mq.ErrReturned, "NO_ROUTE"},
		{"no exchange", flow.Address{Exchange: "gone", Key: "k"}, mq.ErrReturned, `"gone"`},
		{"full queue", toQueue("full"), mq.ErrNacked, ""},
		{"internal exchange", flow.Address{Exchange: "inner"}, mq.ErrNacked, "internal"},
		{"internal exchange again", flow.Address{Exchange: "inner"}, mq.ErrNacked, "internal"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := b.Publish(within(t), tt.to, &flow.Message{ID: "m"})
			if !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.text) {
				t.Errorf("Publish() = %v, want %v with %q", err, tt.want, tt.text)
			}
		})
	}
	// An exchange that cost a channel once is not let near the shared one again.
	publish(t, b, "q", &flow.Message{})
	shared := b.SharedChannel()
	if err := b.Publish(within(t), flow.Address{Exchange: "inner"}, &flow.Message{}); !errors.Is(err, mq.ErrNacked) {
		t.Errorf("Publish() = %v, want %v", err, mq.ErrNacked)
	}
	keepsChannel(t, b, shared)
}

// Poison that nobody knew of ends the shared channel: it alone gets an error.
func TestQuarantine(t *testing.T) {
	t.Parallel()
	v, b := openShared(t, "q")
	good := publishGood(t, b, "q", 32)
	for i := range 20 {
		good.more(50)
		err := b.PublishUnchecked(within(t), toQueue("q"), &amqp.Publishing{MessageId: "good", Expiration: "1.5"})
		if flow.CodeOf(err) != flow.BadMessage || !strings.Contains(fmt.Sprint(err), "PRECONDITION_FAILED") {
			t.Fatalf("poison %d: %v (code %d), want code %d", i, err, flow.CodeOf(err), flow.BadMessage)
		}
	}
	sent := good.stop()
	if got := v.Messages(t, "q"); got < sent {
		t.Errorf("%d messages in the queue, %d were confirmed", got, sent)
	}
	select {
	case s := <-b.States():
		if s.Status != mq.Up {
			t.Errorf("the connection is %s: %v", s.Status, s.Err)
		}
	default:
		t.Error("no state was told")
	}
}

// Messages with the same id are in flight at once, to a queue and to none.
func TestReturnsWithRepeatedIDs(t *testing.T) {
	t.Parallel()
	v, b := openShared(t, "q")
	good := publishGood(t, b, "q", 16)
	var group sync.WaitGroup
	ctx := t.Context()
	for range 16 {
		group.Go(func() {
			for range 50 {
				err := b.Publish(ctx, toQueue("missing"), &flow.Message{ID: "good"})
				if !errors.Is(err, mq.ErrReturned) {
					t.Errorf("to a missing queue: %v, want %v", err, mq.ErrReturned)
				}
			}
		})
	}
	group.Wait()
	sent := good.stop()
	if got := v.Messages(t, "q"); got != sent {
		t.Errorf("%d messages in the queue, want %d", got, sent)
	}
}

// A binding comes and goes under load: what was said to be published is there.
func TestNothingReturnedIsConfirmed(t *testing.T) {
	t.Parallel()
	v := rabbittest.Shared(t).VHost(t)
	declare(t, v, "q")
	ch := v.Channel(t)
	if err := ch.ExchangeDeclare("x", "fanout", true, false, false, false, nil); err != nil {
		t.Fatal(err)
	}
	b := open(t, v)
	var group sync.WaitGroup
	var sent, returned atomic.Int64
	ctx := t.Context()
	stop := make(chan struct{})
	for range 16 {
		group.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				switch err := b.Publish(ctx, flow.Address{Exchange: "x", Key: "k"}, &flow.Message{ID: "same"}); {
				case err == nil:
					sent.Add(1)
				case errors.Is(err, mq.ErrReturned):
					returned.Add(1)
				default:
					t.Errorf("Publish() = %v", err)
					return
				}
			}
		})
	}
	for range 20 {
		if err := errors.Join(ch.QueueBind("q", "k", "x", false, nil), ch.QueueUnbind("q", "k", "x", nil)); err != nil {
			t.Fatal(err)
		}
		want := returned.Load() + 20
		eventually(t, "messages are returned", func() bool { return returned.Load() >= want || t.Failed() })
	}
	close(stop)
	group.Wait()
	if got := v.Messages(t, "q"); int64(got) < sent.Load() {
		t.Errorf("%d messages in the queue, %d were confirmed", got, sent.Load())
	}
	t.Logf("%d confirmed, %d returned", sent.Load(), returned.Load())
}

func TestExchangeDeletedUnderLoad(t *testing.T) {
	t.Parallel()
	v := rabbittest.Shared(t).VHost(t)
	declare(t, v, "q")
	ch := v.Channel(t)
	b := open(t, v)
	good := publishGood(t, b, "q", 8)
	ctx := t.Context()
	for round := range 5 {
		if err := errors.Join(ch.ExchangeDeclare("x", "fanout", true, false, false, false, nil), ch.QueueBind("q", "", "x", false, nil)); err != nil {
			t.Fatal(err)
		}
		var group sync.WaitGroup
		var sent atomic.Int64
		for range 8 {
			group.Go(func() {
				for {
					err := b.Publish(ctx, flow.Address{Exchange: "x"}, &flow.Message{ID: "x"})
					if err != nil {
						if !errors.Is(err, mq.ErrReturned) || !strings.Contains(err.Error(), "x") {
							t.Errorf("round %d: %v, want %v naming the exchange", round, err, mq.ErrReturned)
						}
						return
					}
					sent.Add(1)
				}
			})
		}
		eventually(t, "messages are published", func() bool { return sent.Load() >= 50 })
		if err := ch.ExchangeDelete("x", false, false); err != nil {
			t.Fatal(err)
		}
		group.Wait()
	}
	good.stop()
}

func TestPublishEndsWithContext(t *testing.T) {
	t.Parallel()
	_, b := openShared(t, "q")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 2 {
		if err := b.Publish(ctx, toQueue("q"), &flow.Message{}); !errors.Is(err, context.Canceled) || errors.Is(err, mq.ErrUnknown) {
			t.Errorf("Publish() = %v, want %v and nothing sent", err, context.Canceled)
		}
		publish(t, b, "q", &flow.Message{}) // now there is a connection
	}
}

func BenchmarkPublish(b *testing.B) {
	v := rabbittest.Shared(b).VHost(b)
	declare(b, v, "q")
	broker := open(b, v)
	m := &flow.Message{ID: "id", CorrelID: "correl", Body: make([]byte, 1024), Headers: []flow.Header{
		{Name: "a", Value: "one"}, {Name: "b", Value: "two"}, {Name: "c", Value: "three"}, {Name: "d", Value: "four"},
	}}
	publish(b, broker, "q", m)
	b.ReportAllocs()
	b.SetParallelism(32)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := broker.Publish(b.Context(), toQueue("q"), m); err != nil {
				b.Error(err)
				return
			}
		}
	})
}
