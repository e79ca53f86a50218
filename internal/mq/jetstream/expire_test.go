package jetstream_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"mqgateway/internal/flow"
	"mqgateway/internal/mq"
	"mqgateway/internal/mq/jetstream"
)

// expiring is a queue that goes soon.
func expiring(name string) mq.Queue {
	return mq.Queue{Name: name, Prefetch: 1, Kind: mq.Quorum, Expires: 300 * time.Millisecond}
}

func TestQueuesWithoutReadersGo(t *testing.T) {
	t.Parallel()
	embedded := startEmbedded(t, jetstream.EmbeddedConfig{Sync: "1s"})
	operator, broker := newOperator(t, embedded.NATS()), openEmbedded(t, embedded)
	broker.SetAckWait(10 * time.Second) // queues go without a reader for so long
	declare(t, broker, "forever")
	publish(t, broker, "forever", flow.Message{ID: "kept"})
	read, inWork := subscribeExpiring(t, broker, "read"), subscribeExpiring(t, broker, "in.work")
	slow := pass(t, broker, inWork, "in.work")
	if err := broker.Declare(t.Context(), expiring("unread")); err != nil {
		t.Fatal(err)
	}
	publish(t, broker, "unread", flow.Message{ID: "lost"})

	eventually(t, "the message is dropped", func() bool { return operator.Messages(t, "unread") == 0 })
	n := 0
	eventually(t, "the queue without a reader goes", func() bool {
		n++
		if err := broker.Declare(t.Context(), expiring(fmt.Sprint("other-", n))); err != nil {
			t.Fatal(err)
		}
		return operator.Messages(t, "unread") == -1
	})

	settle(t, pass(t, broker, read, "read"), mq.Ack)
	settle(t, slow, mq.Ack)
	settle(t, pass(t, broker, inWork, "in.work"), mq.Ack)
	if got := operator.Messages(t, "forever"); got != 1 {
		t.Errorf("the queue that stays has %d messages, want 1", got)
	}

	again := subscribeExpiring(t, broker, "unread")
	settle(t, pass(t, broker, again, "unread"), mq.Ack)
}

// pass publishes to a queue until a message comes before its life is over.
func pass(t *testing.T, broker mq.Broker, s mq.Subscription, queue string) (d *mq.Delivery) {
	t.Helper()
	eventually(t, "a message comes before its life is over", func() bool {
		publish(t, broker, queue, flow.Message{})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var err error
		if d, err = s.Receive(ctx); err != nil && ctx.Err() == nil {
			t.Fatalf("receiving: %v", err)
		}
		return err == nil
	})
	return d
}

func subscribeExpiring(t *testing.T, broker mq.Broker, name string) mq.Subscription {
	t.Helper()
	s, err := broker.Subscribe(t.Context(), expiring(name))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeOrFail(t, s) })
	return s
}

// TestTheShorterLifeHolds has queues whose messages go after a while, and that go
// themselves without a reader.
func TestTheShorterLifeHolds(t *testing.T) {
	t.Parallel()
	embedded := startEmbedded(t, jetstream.EmbeddedConfig{Sync: "1s"})
	operator, broker := newOperator(t, embedded.NATS()), openEmbedded(t, embedded)
	const short, long = 300 * time.Millisecond, time.Hour
	for _, q := range []mq.Queue{
		{Name: "expires", TTL: long, Expires: short},
		{Name: "ttl", TTL: short, Expires: long},
		{Name: "none", TTL: long, Expires: 2 * long},
	} {
		q.Kind = mq.Quorum
		if err := broker.Declare(t.Context(), q); err != nil {
			t.Fatal(err)
		}
		publish(t, broker, q.Name, flow.Message{ID: "m"})
	}
	for _, name := range []string{"expires", "ttl"} {
		eventually(t, "the message of "+name+" goes", func() bool { return operator.Messages(t, name) <= 0 })
	}
	if got := operator.Messages(t, "none"); got != 1 {
		t.Errorf("the queue with an hour has %d messages, want 1", got)
	}
}
