package rabbitmq_test

import (
	"context"
	"errors"
	"flag"
	"os"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"mqgateway/internal/flow"
	"mqgateway/internal/mq"
	"mqgateway/internal/mq/rabbitmq"
	"mqgateway/internal/secret"
	"mqgateway/test/leaks"
	"mqgateway/test/rabbittest"
)

func TestMain(m *testing.M) {
	_ = flag.Set("test.parallel", "4") // they wait more than they compute
	os.Exit(rabbittest.Main(m, leaks.Find))
}

const manager = "QM1"

// limit bounds every wait of the tests. Machines that run them stand still at times.
const limit = time.Minute

// open makes a broker on a virtual host, which waits as long as the tests do unless
// an option says otherwise. It is closed at the end of the test.
func open(t testing.TB, v *rabbittest.VHost, options ...func(*rabbitmq.Config)) *rabbitmq.Broker {
	t.Helper()
	cfg := rabbitmq.Config{
		Manager: manager, Instance: "gateway-1",
		Addresses:      []mq.ConnectionConfig{{URI: secret.URI(v.URI())}},
		ConfirmTimeout: limit, HandshakeTimeout: limit, CloseTimeout: limit,
	}
	for _, o := range options {
		o(&cfg)
	}
	b, err := rabbitmq.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Errorf("Close() = %v", err)
		}
	})
	return b
}

// openShared makes a broker on a virtual host of the shared server, with these queues.
func openShared(t testing.TB, queues ...string) (*rabbittest.VHost, *rabbitmq.Broker) {
	t.Helper()
	v := rabbittest.Shared(t).VHost(t)
	for _, q := range queues {
		declare(t, v, q)
	}
	return v, open(t, v)
}

// keepsChannel holds that publishes share the same channel as before.
func keepsChannel(t testing.TB, b *rabbitmq.Broker, shared any) {
	t.Helper()
	if b.SharedChannel() != shared {
		t.Error("the shared channel was replaced")
	}
}

// within is the context of a test with a deadline.
func within(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	t.Cleanup(cancel)
	return ctx
}

func declare(t testing.TB, v *rabbittest.VHost, queue string) {
	t.Helper()
	if _, err := v.Channel(t).QueueDeclare(queue, true, false, false, false, nil); err != nil {
		t.Fatal(err)
	}
}

func subscribe(t testing.TB, b *rabbitmq.Broker, queue string, prefetch int) mq.Subscription {
	t.Helper()
	sub, err := b.Subscribe(within(t), mq.Queue{Name: queue, Prefetch: prefetch})
	if err != nil {
		t.Fatal(err)
	}
	return sub
}

func receive(t testing.TB, sub mq.Subscription) *mq.Delivery {
	t.Helper()
	d, err := sub.Receive(within(t))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// toQueue is the address of a queue.
func toQueue(name string) flow.Address { return flow.Address{Key: name} }

func publish(t testing.TB, b *rabbitmq.Broker, queue string, m *flow.Message) {
	t.Helper()
	if err := b.Publish(within(t), toQueue(queue), m); err != nil {
		t.Fatal(err)
	}
}

// confirmed publishes, by a broker that waits for a short time, until one message is
// confirmed. It returns how many were sent for that.
func confirmed(t testing.TB, b *rabbitmq.Broker, queue string) (sent int) {
	t.Helper()
	eventually(t, "a message is confirmed", func() bool {
		err := b.Publish(within(t), toQueue(queue), &flow.Message{})
		if err == nil || errors.Is(err, mq.ErrUnknown) {
			sent++
		}
		return err == nil
	})
	return sent
}

// put publishes n messages as a foreign program would.
func put(t testing.TB, v *rabbittest.VHost, queue string, n int) {
	t.Helper()
	ch := v.Channel(t)
	if err := ch.Confirm(false); err != nil {
		t.Fatal(err)
	}
	var last *amqp.DeferredConfirmation
	for range n {
		var err error
		if last, err = ch.PublishWithDeferredConfirm("", queue, false, false, amqp.Publishing{Body: []byte("x"), DeliveryMode: amqp.Persistent}); err != nil {
			t.Fatal(err)
		}
	}
	if !last.Wait() {
		t.Fatal("publishing was refused")
	}
	eventually(t, "all messages are in the queue", func() bool { return v.Messages(t, queue) >= n })
}

// eventually waits for a condition that others bring about.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(limit); !ok(); {
		if time.Now().After(deadline) {
			t.Fatalf("waited %s in vain until %s", limit, what)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// awaitState reads states until one has the status.
func awaitState(t testing.TB, b *rabbitmq.Broker, want mq.Status) mq.State {
	t.Helper()
	timeout := time.After(limit)
	for {
		select {
		case s, ok := <-b.States():
			if !ok {
				t.Fatalf("states ended, waiting for %s", want)
			}
			if s.Status == want {
				return s
			}
		case <-timeout:
			t.Fatalf("waited %s in vain for state %s", limit, want)
		}
	}
}
