package rabbitmq_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	amqp "github.com/rabbitmq/amqp091-go"

	"mqgateway/internal/flow"
	"mqgateway/internal/mq"
	"mqgateway/internal/mq/rabbitmq"
	"mqgateway/internal/secret"
	"mqgateway/test/rabbittest"
)

// later holds a message back.
func later(t testing.TB, b *rabbitmq.Broker, queue string, delay time.Duration, m *flow.Message) {
	t.Helper()
	if err := b.PublishLater(within(t), queue, delay, m); err != nil {
		t.Fatal(err)
	}
}

// RabbitMQ drops messages that go round in a circle of expiries.
func TestHeldBackManyTimes(t *testing.T) {
	t.Parallel()
	v, b := openShared(t)
	for _, kind := range []mq.QueueKind{mq.Classic, mq.Quorum} {
		queue := string(kind)
		if err := b.Declare(within(t), mq.Queue{Name: queue, Kind: kind}); err != nil {
			t.Fatal(err)
		}
		publish(t, b, queue, &flow.Message{ID: "m", Body: []byte("body")})
		sub := subscribe(t, b, queue, 1)
		for range 30 {
			d := receive(t, sub)
			if d.Message.ID != "m" || string(d.Message.Body) != "body" {
				t.Fatalf("received %+v", d.Message)
			}
			later(t, b, queue, 10*time.Millisecond, &d.Message)
			settle(t, d, mq.Ack)
		}
		settle(t, receive(t, sub), mq.Ack)
		eventually(t, "the message is gone", func() bool { return v.Messages(t, queue) == 0 })
		eventually(t, "nothing waits", func() bool { return v.Messages(t, queue+".RETRY.10ms") == 0 })
	}
}

func settle(t testing.TB, d *mq.Delivery, o mq.Outcome) {
	t.Helper()
	if err := d.Settle(o); err != nil {
		t.Fatal(err)
	}
}

// What the broker wrote into a message before it was held back, and what it would
// act upon, is there again afterwards; what holding back wrote is not.
func TestHeadersOfOthersWhileHeldBack(t *testing.T) {
	t.Parallel()
	v := rabbittest.Shared(t).VHost(t)
	declare(t, v, "q")
	declare(t, v, "copies")
	_, err := v.Channel(t).QueueDeclare("elsewhere.RETRY.1ms", true, false, false, false, amqp.Table{
		"x-message-ttl": 1, "x-dead-letter-exchange": "", "x-dead-letter-routing-key": "q",
	})
	if err != nil {
		t.Fatal(err)
	}
	b := open(t, v)
	publish(t, b, "elsewhere.RETRY.1ms", &flow.Message{ID: "m"})
	sub := subscribe(t, b, "q", 1)
	d := receive(t, sub)
	if d.Message.Source.Delayed {
		t.Error("a message that expired elsewhere is taken for one that was held back")
	}
	before := headersOf(&d.Message)
	if before["x-death"] == nil || before["x-first-death-queue"] != "elsewhere.RETRY.1ms" {
		t.Fatalf("headers = %v, want those of a message that has expired", before)
	}
	before["CC"] = []any{"copies"}
	m := d.Message
	m.Headers = append(m.Headers, flow.Header{Name: "CC", Value: before["CC"]})
	for range 3 {
		later(t, b, "q", time.Millisecond, &m)
		settle(t, d, mq.Ack)
		d = receive(t, sub)
		m = d.Message
		if !m.Source.Delayed {
			t.Error("the message is not told as delayed")
		}
		if diff := cmp.Diff(before, headersOf(&m)); diff != "" {
			t.Errorf("headers have changed (-before +after):\n%s", diff)
		}
	}
	if got := v.Messages(t, "copies"); got != 0 {
		t.Errorf("%d copies were delivered, want none", got)
	}
}

// A foreign sender makes a message look as if it was held back: what the gateway writes
// into those must not be believed.
func TestMessageThatPretendsToHaveBeenHeldBack(t *testing.T) {
	t.Parallel()
	v, b := openShared(t, "q")
	later(t, b, "q", time.Millisecond, &flow.Message{ID: "real", Body: []byte("body")})
	sub := subscribe(t, b, "q", 1)
	d := receive(t, sub)
	if !d.Message.Source.Delayed || d.Message.UserID != "" {
		t.Errorf("message that was held back: delayed = %t, user = %q, want true and none", d.Message.Source.Delayed, d.Message.UserID)
	}
	settle(t, d, mq.Ack)
	conn, err := amqp.Dial(v.UserURI(t, "", ".*", ""))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ch, err := conn.Channel()
	if err != nil {
		t.Fatal(err)
	}
	deaths := []any{amqp.Table{"queue": "q.RETRY.1ms", "reason": "expired", "count": int64(1)}}
	for queue, headers := range map[string]amqp.Table{"q": {"x-death": deaths}, "q.RETRY.1ms": {}} {
		headers["x-gateway-original-user-id"] = "admin"
		if err := ch.PublishWithContext(within(t), "", queue, false, false, amqp.Publishing{Headers: headers}); err != nil {
			t.Fatal(err)
		}
		d := receive(t, sub)
		if d.Message.Source.Delayed {
			t.Errorf("message that somebody else published to %q is believed to have been held back", queue)
		}
		settle(t, d, mq.Ack)
	}
}

func headersOf(m *flow.Message) map[string]any {
	all := map[string]any{}
	for _, h := range m.Headers {
		all[h.Name] = h.Value
	}
	return all
}

// A delay queue that an operator deletes is made again.
func TestDelayQueueVanishes(t *testing.T) {
	t.Parallel()
	v, b := openShared(t, "q")
	for n := range 3 {
		later(t, b, "q", time.Millisecond, &flow.Message{})
		eventually(t, "the message has come", func() bool { return v.Messages(t, "q") == n+1 })
		eventually(t, "nothing waits", func() bool { return v.Messages(t, "q.RETRY.1ms") == 0 })
		if _, err := v.Channel(t).QueueDelete("q.RETRY.1ms", false, false, false); err != nil {
			t.Fatal(err)
		}
	}
}

func TestNoDelay(t *testing.T) {
	t.Parallel()
	v, b := openShared(t)
	foreign, other := "foreign.RETRY.1000ms", "other.RETRY.1000ms"
	declare(t, v, foreign)
	if _, err := v.Channel(t).QueueDeclare(other, true, false, false, false, amqp.Table{amqp.QueueTypeArg: amqp.QueueTypeQuorum}); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, queue string
		delay       time.Duration
		want        string
	}{
		{"name is too long", strings.Repeat("x", 250), time.Second, "263 bytes"},
		{"delay is too long", "q", 50 * 24 * time.Hour, "1200h"},
		{"queue of another kind is in the way", "foreign", time.Second, "PRECONDITION_FAILED"},
		{"queue of other arguments is in the way", "other", time.Second, "PRECONDITION_FAILED"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for range 2 {
				err := b.PublishLater(within(t), tt.queue, tt.delay, &flow.Message{})
				if !errors.Is(err, mq.ErrNoDelay) || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("PublishLater() = %v, want %v and %q", err, mq.ErrNoDelay, tt.want)
				}
			}
		})
	}
	for _, queue := range []string{foreign, other} {
		if got := v.Messages(t, queue); got != 0 {
			t.Errorf("%d messages in %q, want none", got, queue)
		}
	}
}

// Who may not declare queues holds messages back in those that are there.
func TestDelayWithoutPermission(t *testing.T) {
	t.Parallel()
	v := rabbittest.Shared(t).VHost(t)
	declare(t, v, "q")
	uri := v.UserURI(t, "^$", ".*", ".*")
	b := open(t, v, func(c *rabbitmq.Config) { c.Addresses[0].URI = secret.URI(uri) })
	err := b.PublishLater(within(t), "q", time.Second, &flow.Message{})
	if !errors.Is(err, mq.ErrNoDelay) || !strings.Contains(err.Error(), "ACCESS_REFUSED") {
		t.Errorf("PublishLater() without permission = %v, want %v", err, mq.ErrNoDelay)
	}
	later(t, open(t, v), "q", 20*time.Millisecond, &flow.Message{})
	later(t, b, "q", 20*time.Millisecond, &flow.Message{})
	eventually(t, "both have come", func() bool { return v.Messages(t, "q") == 2 })
}

// A delay queue that was made when the server was older has no delivery limit.
func TestDelayQueueOfOlderServer(t *testing.T) {
	t.Parallel()
	v := rabbittest.Shared(t).VHost(t)
	declare(t, v, "q")
	_, err := v.Channel(t).QueueDeclare("q.RETRY.5ms", true, false, false, false, amqp.Table{
		amqp.QueueTypeArg: amqp.QueueTypeQuorum, "x-message-ttl": 5,
		"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "q",
		"x-dead-letter-strategy": "at-least-once", "x-overflow": "reject-publish",
	})
	if err != nil {
		t.Fatal(err)
	}
	b := open(t, v)
	later(t, b, "q", 5*time.Millisecond, &flow.Message{ID: "m"})
	if d := receive(t, subscribe(t, b, "q", 1)); d.Message.ID != "m" || !d.Message.Source.Delayed {
		t.Errorf("received %+v, want m, delayed", d.Message)
	}
}

func TestServerVersion(t *testing.T) {
	for _, tt := range []struct {
		version string
		want    bool
	}{
		{"", false},
		{"x.y", false},
		{"3", false},
		{"3.x", false},
		{"3.9.29", false},
		{"2.11.0", false},
		{"3.10.0", true},
		{"3.10.8+deb12u1", true},
		{"3.13.0-rc.1", true},
		{"4.0.5", true},
		{"4", true},
		{"10.0", true},
	} {
		t.Run(tt.version, func(t *testing.T) {
			if got := rabbitmq.AtLeast(tt.version, 3, 10); got != tt.want {
				t.Errorf("%q is at least 3.10: %t, want %t", tt.version, got, tt.want)
			}
		})
	}
}

// The server keeps what is held back whatever happens to it, or to the source queue.
func TestHeldBackOnBrokenServer(t *testing.T) {
	t.Parallel()
	n := rabbittest.Start(t)
	v := n.VHost(t)
	b := open(t, v)
	const count = 20
	hold := func(delay time.Duration) {
		t.Helper()
		for i := range count {
			later(t, b, "q", delay, &flow.Message{ID: string(rune('a' + i))})
		}
	}
	arrive := func() {
		t.Helper()
		var sub mq.Subscription
		eventually(t, "the queue can be read", func() (ok bool) {
			var err error
			sub, err = b.Subscribe(within(t), mq.Queue{Name: "q", Prefetch: count, Kind: mq.Quorum})
			return err == nil
		})
		missing := map[string]bool{}
		for i := range count {
			missing[string(rune('a'+i))] = true
		}
		for len(missing) > 0 { // a message may come twice
			d := receive(t, sub)
			delete(missing, d.Message.ID)
			if !d.Message.Source.Delayed {
				t.Errorf("message %q is not told as delayed", d.Message.ID)
			}
			settle(t, d, mq.Ack)
		}
		if err := sub.Close(); err != nil {
			t.Error(err)
		}
	}
	if err := b.Declare(within(t), mq.Queue{Name: "q", Kind: mq.Quorum}); err != nil {
		t.Fatal(err)
	}

	hold(3 * time.Second)
	n.Stop(t)
	n.Start(t)
	arrive()

	eventually(t, "the server can be reached", func() bool { return b.Check(within(t)) == nil })
	hold(3 * time.Second)
	n.Kill(t) // it has known the delay queue for long enough not to forget it by that
	n.Start(t)
	arrive()

	eventually(t, "the server can be reached", func() bool { return b.Check(within(t)) == nil })
	n.SetDeadLetterPatience(t, time.Second)
	if _, err := v.Channel(t).QueueDelete("q", false, false, false); err != nil {
		t.Fatal(err)
	}
	hold(500 * time.Millisecond)
	time.Sleep(2 * time.Second) // the delay is over, and the server has tried
	if got := v.Messages(t, "q.RETRY.500ms"); got != count {
		t.Errorf("%d messages wait for their queue, want %d", got, count)
	}
	arrive()
	eventually(t, "nothing waits", func() bool { return v.Messages(t, "q.RETRY.500ms") == 0 })
}
