package jetstream_test

import (
	"errors"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"

	"mqgateway/internal/flow"
	"mqgateway/internal/mq"
	"mqgateway/internal/mq/jetstream"
)

func TestMessagesOfOtherClients(t *testing.T) {
	t.Parallel()
	e := startExternal(t, nil)
	operator := newOperator(t, e.nats)
	broker := openExternal(t, e)
	declare(t, broker, "orders.in")
	msg := nats.NewMsg("mq.orders.in")
	msg.Data = []byte("plain")
	msg.Header = nats.Header{"lower": {"1"}, "Many": {"a", "b"}, "Status": {"503"}, natsjs.MsgIDHeader: {"their-id"}}
	if _, err := operator.js.PublishMsg(t.Context(), msg); err != nil {
		t.Fatal(err)
	}
	got := receive(t, subscribe(t, broker, "orders.in", 1)).Message
	want := []flow.Header{
		{Name: "Many", Value: []any{"a", "b"}},
		{Name: "Status", Value: "503"},
		{Name: "lower", Value: "1"},
	}
	if diff := cmp.Diff(want, got.Headers); diff != "" {
		t.Errorf("headers (-want +got):\n%s", diff)
	}
	if string(got.Body) != "plain" || !got.IDMade || got.ID == "" {
		t.Errorf("body %q, id %q, made %t, want the body and a made id", got.Body, got.ID, got.IDMade)
	}
}

func TestMadeIDsAreStable(t *testing.T) {
	t.Parallel()
	e := startExternal(t, nil)
	broker := openExternal(t, e)
	declare(t, broker, "q")
	publish(t, broker, "q", flow.Message{})
	publish(t, broker, "q", flow.Message{})
	publish(t, broker, "q", flow.Message{ID: "own"})
	s := subscribe(t, broker, "q", 3)
	first, second := receive(t, s), receive(t, s)
	if !first.Message.IDMade || first.Message.ID == second.Message.ID {
		t.Errorf("ids %q (made: %t) and %q, want two made ones", first.Message.ID, first.Message.IDMade, second.Message.ID)
	}
	if own := receive(t, s).Message; own.ID != "own" || own.IDMade {
		t.Errorf("id %q, made: %t, want the sender's", own.ID, own.IDMade)
	}
	settle(t, first, mq.Retry)
	if again := receive(t, s).Message; again.ID != first.Message.ID || !again.IDMade {
		t.Errorf("id %q (made: %t) becomes %q when it is delivered again", first.Message.ID, again.IDMade, again.ID)
	}

	// A queue that is made anew counts from 1 again.
	newOperator(t, e.nats).DeleteQueue(t, "q")
	declare(t, broker, "q")
	publish(t, broker, "q", flow.Message{})
	if other := receive(t, subscribe(t, broker, "q", 1)).Message; other.ID == first.Message.ID {
		t.Errorf("messages of two queues have id %q", other.ID)
	}
}

func TestRepeatsAreNotSwallowed(t *testing.T) {
	t.Parallel()
	broker := openEmbedded(t, startEmbedded(t, jetstream.EmbeddedConfig{}))
	declare(t, broker, "q")
	for range 3 {
		publish(t, broker, "q", flow.Message{ID: "same"})
	}
	s := subscribe(t, broker, "q", 3)
	for range 3 {
		settle(t, receive(t, s), mq.Ack)
	}
}

func TestMessagesInWorkAreKeptAlive(t *testing.T) {
	t.Parallel()
	const ackWait = 8 * time.Second // signs of life come four times as often
	embedded := startEmbedded(t, jetstream.EmbeddedConfig{})
	operator, broker := newOperator(t, embedded.NATS()), openEmbedded(t, embedded)
	broker.SetAckWait(ackWait)
	declare(t, broker, "q")
	for _, id := range []string{"in work", "waiting for a worker"} {
		publish(t, broker, "q", flow.Message{ID: id})
	}
	answers, err := operator.nc.SubscribeSync("$JS.ACK.>")
	if err != nil {
		t.Fatal(err)
	}
	s := subscribe(t, broker, "q", 2)
	inWork := receive(t, s)
	signs := map[string]int{} // of life, by message
	for len(signs) < 2 || slices.Min(slices.Collect(maps.Values(signs))) < 2 {
		answer, err := answers.NextMsg(patience)
		if err != nil || string(answer.Data) != "+WPI" {
			t.Fatalf("the server hears %+v, %v, want signs of life of both messages", answer, err)
		}
		signs[answer.Subject]++
	}
	settle(t, inWork, mq.Ack)
	waiting := receive(t, s)
	if waiting.Message.Source.Redelivered {
		t.Error("the message that waited was delivered again")
	}
	settle(t, waiting, mq.Ack)
	eventually(t, "the queue is empty", func() bool { return operator.Messages(t, "q") == 0 })
}

func TestOthersGetTheMessagesOfAVanishedReader(t *testing.T) {
	t.Parallel()
	e := startExternal(t, nil)
	broker := openExternal(t, e)
	broker.SetAckWait(200 * time.Millisecond)
	declare(t, broker, "q")
	publish(t, broker, "q", flow.Message{ID: "m"})
	vanished := subscribe(t, broker, "q", 1)
	receive(t, vanished)
	cut(t, e.nats)
	_ = receiveError(t, vanished)
	d := receive(t, subscribe(t, openExternal(t, e), "q", 1))
	if d.Message.ID != "m" || !d.Message.Source.Redelivered || d.Message.Source.Deliveries < 1 {
		t.Errorf("message %q, source %+v, want the message again", d.Message.ID, d.Message.Source)
	}
}

func TestExpiredMessagesAreNotDelivered(t *testing.T) {
	t.Parallel()
	e := startExternal(t, nil)
	operator, broker := newOperator(t, e.nats), openExternal(t, e)
	// A stream without TTLs of messages: only the driver can tell.
	if _, err := operator.js.CreateStream(t.Context(), natsjs.StreamConfig{
		Name: jetstream.StreamName("q"), Subjects: []string{jetstream.SubjectName("q")}, Retention: natsjs.WorkQueuePolicy,
	}); err != nil {
		t.Fatal(err)
	}
	publish(t, broker, "q", flow.Message{ID: "short", Expiry: time.Millisecond})
	publish(t, broker, "q", flow.Message{ID: "long", Expiry: time.Hour})
	time.Sleep(2 * time.Millisecond) // the life of the first one, on the server's clock
	s := subscribe(t, broker, "q", 2)
	d := receive(t, s)
	if d.Message.ID != "long" || d.Message.Expiry != time.Hour {
		t.Errorf("received %q with expiry %v, want the long one with an hour", d.Message.ID, d.Message.Expiry)
	}
	settle(t, d, mq.Ack)
	eventually(t, "the queue is empty", func() bool { return operator.Messages(t, "q") == 0 })
}

func TestUnreadMessagesExpire(t *testing.T) {
	t.Parallel()
	embedded := startEmbedded(t, jetstream.EmbeddedConfig{})
	broker := openEmbedded(t, embedded)
	declare(t, broker, "q")
	publish(t, broker, "q", flow.Message{Expiry: time.Millisecond})
	operator := newOperator(t, embedded.NATS())
	eventually(t, "the server drops the message", func() bool { return operator.Messages(t, "q") == 0 })
}

func TestConsumersThatCannotBeUsed(t *testing.T) {
	t.Parallel()
	e := startExternal(t, nil)
	operator, broker := newOperator(t, e.nats), openExternal(t, e)
	operator.MakeQueue(t, "q")
	if _, err := operator.js.CreatePushConsumer(t.Context(), jetstream.StreamName("q"), natsjs.ConsumerConfig{
		Durable: "gateway", AckPolicy: natsjs.AckExplicitPolicy, DeliverSubject: "elsewhere",
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := broker.Subscribe(t.Context(), mq.Queue{Name: "q", Prefetch: 1}); err == nil || errors.Is(err, mq.ErrNoQueue) {
		t.Errorf("Subscribe() = %v, want an error about the consumer", err)
	}
}
