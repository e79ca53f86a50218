package rabbitmq_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	amqp "github.com/rabbitmq/amqp091-go"

	"mqgateway/internal/flow"
	"mqgateway/internal/mq"
	"mqgateway/internal/mq/rabbitmq"
	"mqgateway/test/rabbittest"
)

func openInbox(t testing.TB, b *rabbitmq.Broker) mq.Inbox {
	t.Helper()
	i, err := b.OpenInbox(within(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := i.Close(); err != nil {
			t.Errorf("Close() = %v", err)
		}
	})
	return i
}

// echo answers the requests on a queue as a foreign program would.
func echo(t testing.TB, v *rabbittest.VHost, queue string) {
	t.Helper()
	declare(t, v, queue)
	ch := v.Channel(t)
	requests, err := ch.Consume(queue, "", true, false, false, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	t.Cleanup(group.Wait)
	t.Cleanup(func() { _ = ch.Close() })
	group.Go(func() {
		for d := range requests {
			_ = ch.Publish("", d.ReplyTo, false, false, amqp.Publishing{CorrelationId: d.MessageId, Body: d.Body})
		}
	})
}

func ask(t testing.TB, i mq.Inbox, queue, id string) {
	t.Helper()
	m := &flow.Message{ID: id, ReplyTo: i.Address(), Body: []byte("body of " + id)}
	if err := i.Publish(within(t), toQueue(queue), m); err != nil {
		t.Fatal(err)
	}
	reply, err := i.Receive(within(t))
	if err != nil {
		t.Fatal(err)
	}
	if reply.CorrelID != id || string(reply.Body) != "body of "+id {
		t.Errorf("the reply is %q to %q, want that to %q", reply.Body, reply.CorrelID, id)
	}
	if s := reply.Source; s.Queue != i.Address() || s.Manager != manager || !strings.HasPrefix(s.RoutingKey, i.Address()+".") {
		t.Errorf("the source is %+v, want queue %q and a name of the broker's", s, i.Address())
	}
}

// awaitLoss receives until the inbox is lost.
func awaitLoss(t testing.TB, i mq.Inbox, want string) {
	t.Helper()
	if _, err := i.Receive(within(t)); !strings.Contains(fmt.Sprint(err), want) {
		t.Errorf("Receive() = %v, want an error with %q", err, want)
	}
	err := i.Publish(within(t), toQueue("q"), &flow.Message{})
	if err == nil || errors.Is(err, mq.ErrUnknown) || !strings.Contains(err.Error(), want) {
		t.Errorf("Publish() = %v, want an error with %q and that nothing was sent", err, want)
	}
}

// What nobody knew of ends the channel of the inbox, and of nobody else.
func TestInboxIsLostAlone(t *testing.T) {
	t.Parallel()
	v := rabbittest.Shared(t).VHost(t)
	echo(t, v, "q")
	declare(t, v, "good")
	if err := v.Channel(t).ExchangeDeclare("inner", "fanout", true, false, true, false, nil); err != nil {
		t.Fatal(err)
	}
	deleted := v.Channel(t)
	if err := deleted.ExchangeDeclare("gone", "fanout", true, false, false, false, nil); err != nil {
		t.Fatal(err)
	}
	if err := deleted.QueueBind("good", "", "gone", false, nil); err != nil {
		t.Fatal(err)
	}
	b := open(t, v)
	good, other := publishGood(t, b, "good", 4), openInbox(t, b)
	good.more(1)
	shared := b.SharedChannel()
	for _, tt := range []struct {
		name    string
		prepare func(i mq.Inbox)
		to      flow.Address
		p       amqp.Publishing
		want    error // nil: BadMessage
		loss    string
	}{
		{name: "poison", to: toQueue("q"), p: amqp.Publishing{Expiration: "1.5"}, loss: "PRECONDITION_FAILED"},
		{name: "internal exchange", to: flow.Address{Exchange: "inner"}, want: mq.ErrNacked, loss: "ACCESS_REFUSED"},
		{
			name: "exchange that is gone", to: flow.Address{Exchange: "gone"}, want: mq.ErrReturned, loss: "NOT_FOUND",
			prepare: func(i mq.Inbox) {
				if err := i.Publish(within(t), flow.Address{Exchange: "gone"}, &flow.Message{}); err != nil {
					t.Fatal(err)
				}
				if err := deleted.ExchangeDelete("gone", false, false); err != nil {
					t.Fatal(err)
				}
			},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			i := openInbox(t, b)
			if tt.prepare != nil {
				tt.prepare(i)
			}
			err := rabbitmq.PublishUncheckedOn(within(t), i, tt.to, &tt.p)
			if tt.want == nil && flow.CodeOf(err) != flow.BadMessage || tt.want != nil && !errors.Is(err, tt.want) {
				t.Errorf("Publish() = %v (code %d), want %v, or else code %d", err, flow.CodeOf(err), tt.want, flow.BadMessage)
			}
			awaitLoss(t, i, tt.loss)
			again := openInbox(t, b)
			if tt.want != nil { // it is not let near an inbox again
				if err := again.Publish(within(t), tt.to, &flow.Message{}); !errors.Is(err, tt.want) {
					t.Errorf("Publish() = %v, want %v", err, tt.want)
				}
			}
			ask(t, again, "q", "again")
			ask(t, other, "q", "other")
		})
	}
	good.stop()
	keepsChannel(t, b, shared)
}

// Of many in flight nobody is blamed for the end of the channel.
func TestInboxBlamesNobody(t *testing.T) {
	t.Parallel()
	_, b := openShared(t, "q")
	for range 5 {
		i := openInbox(t, b)
		ctx := t.Context()
		var group sync.WaitGroup
		for n := range 64 {
			group.Go(func() {
				p := &amqp.Publishing{MessageId: "good"}
				if n == 32 {
					p.Expiration = "1.5"
				}
				err := rabbitmq.PublishUncheckedOn(ctx, i, toQueue("q"), p)
				blamed := flow.CodeOf(err) == flow.BadMessage || errors.Is(err, mq.ErrReturned) || errors.Is(err, mq.ErrNacked)
				if n == 32 && err == nil || n != 32 && blamed {
					t.Errorf("publish %d: %v", n, err)
				}
			})
		}
		group.Wait()
		awaitLoss(t, i, "PRECONDITION_FAILED")
	}
}

// The first request to each exchange has the channel for itself, and others go on.
func TestInboxFindsExchanges(t *testing.T) {
	t.Parallel()
	v := rabbittest.Shared(t).VHost(t)
	echo(t, v, "q")
	ch := v.Channel(t)
	exchanges := []string{"a", "b", "c", "d"}
	for _, name := range exchanges {
		if err := errors.Join(ch.ExchangeDeclare(name, "fanout", true, false, false, false, nil), ch.QueueBind("q", "", name, false, nil)); err != nil {
			t.Fatal(err)
		}
	}
	i := openInbox(t, open(t, v))
	var group sync.WaitGroup
	for n := range 200 {
		group.Go(func() {
			m := &flow.Message{ID: fmt.Sprint(n), ReplyTo: i.Address()}
			if err := i.Publish(t.Context(), flow.Address{Exchange: exchanges[n%len(exchanges)]}, m); err != nil {
				t.Errorf("Publish() = %v", err)
			}
		})
	}
	var seen []string
	for range 200 {
		m, err := i.Receive(within(t))
		if err != nil {
			t.Fatal(err)
		}
		seen = append(seen, m.CorrelID)
	}
	group.Wait()
	slices.Sort(seen)
	if n := len(slices.Compact(seen)); n != 200 {
		t.Errorf("%d requests have replies, want 200", n)
	}
}

func BenchmarkInbox(b *testing.B) {
	v := rabbittest.Shared(b).VHost(b)
	echo(b, v, "q")
	i := openInbox(b, open(b, v))
	m := &flow.Message{ID: "id", ReplyTo: i.Address(), Persistence: flow.NonPersistent, Body: make([]byte, 1024)}
	b.ReportAllocs()
	b.SetParallelism(16)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := i.Publish(b.Context(), toQueue("q"), m); err != nil {
				b.Error(err)
				return
			}
			if _, err := i.Receive(b.Context()); err != nil {
				b.Error(err)
				return
			}
		}
	})
}
