package jetstream_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"

	"mqgateway/internal/flow"
	"mqgateway/internal/mq"
	"mqgateway/internal/mq/jetstream"
)

func publishLater(t testing.TB, broker mq.Delayer, queue string, delay time.Duration, m flow.Message) {
	t.Helper()
	if err := broker.PublishLater(t.Context(), queue, delay, &m); err != nil {
		t.Fatal(err)
	}
}

func TestHeldBackMessagesSurviveARestart(t *testing.T) {
	t.Parallel()
	e := startExternal(t, nil)
	broker := openExternal(t, e)
	declare(t, broker, "q")
	publishLater(t, broker, "q", 50*time.Millisecond, flow.Message{ID: "due while the server is down"})
	publishLater(t, broker, "q", 5*time.Second, flow.Message{ID: "due later"})
	e.stop()
	time.Sleep(100 * time.Millisecond) // the first one is due
	e.start(t)
	operator := newOperator(t, e.nats)
	eventually(t, "the message that was due comes to the queue", func() bool { return operator.Messages(t, "q") > 0 })
	s := subscribe(t, openExternal(t, e), "q", 2)
	for _, want := range []string{"due while the server is down", "due later"} {
		d := receive(t, s)
		if d.Message.ID != want || !d.Message.Source.Delayed {
			t.Errorf("received %q, delayed %t, want %q", d.Message.ID, d.Message.Source.Delayed, want)
		}
		settle(t, d, mq.Ack)
	}
}

// TestQueuesOfOlderVersionsAreChanged has a queue in use, as versions made it that
// knew no delay.
func TestQueuesOfOlderVersionsAreChanged(t *testing.T) {
	t.Parallel()
	e := startExternal(t, nil)
	operator, broker := newOperator(t, e.nats), openExternal(t, e)
	if _, err := operator.js.CreateStream(t.Context(), natsjs.StreamConfig{
		Name: jetstream.StreamName("q"), Subjects: []string{jetstream.SubjectName("q")}, Retention: natsjs.WorkQueuePolicy,
		Discard: natsjs.DiscardNew,
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := operator.js.CreateConsumer(t.Context(), jetstream.StreamName("q"), natsjs.ConsumerConfig{
		Durable: "gateway", AckPolicy: natsjs.AckExplicitPolicy, MaxDeliver: -1, MaxAckPending: -1,
	}); err != nil {
		t.Fatal(err)
	}
	s := subscribe(t, broker, "q", 1)
	for _, id := range []string{"in work", "waits", "waits, too"} {
		publish(t, broker, "q", flow.Message{ID: id})
	}
	inWork := receive(t, s)
	publishLater(t, broker, "q", time.Millisecond, flow.Message{ID: "later"})
	eventually(t, "what was held back is in the queue", func() bool { return operator.Messages(t, "q") == 4 })
	publish(t, broker, "q", flow.Message{ID: "afterwards"})
	settle(t, inWork, mq.Ack)
	var got []string
	for range 4 {
		d := receive(t, s)
		got = append(got, d.Message.ID)
		settle(t, d, mq.Ack)
	}
	if diff := cmp.Diff([]string{"waits", "waits, too", "later", "afterwards"}, got); diff != "" {
		t.Errorf("messages (-want +got):\n%s", diff)
	}
	eventually(t, "nothing is left", func() bool { return operator.queue(t, "q").State.Msgs == 0 })
}

func TestQueuesThatHoldNothingBack(t *testing.T) {
	t.Parallel()
	e := startExternal(t, nil)
	operator, broker := newOperator(t, e.nats), openExternal(t, e)
	for name, cfg := range map[string]natsjs.StreamConfig{
		"limited":  {MaxMsgs: 10, Discard: natsjs.DiscardNew, Retention: natsjs.WorkQueuePolicy},
		"interest": {Retention: natsjs.InterestPolicy},
		"wide":     {Subjects: []string{"mq.wide", "mq.$due.>"}, Retention: natsjs.WorkQueuePolicy},
	} {
		cfg.Name = jetstream.StreamName(name)
		if cfg.Subjects == nil {
			cfg.Subjects = []string{jetstream.SubjectName(name)}
		}
		if _, err := operator.js.CreateStream(t.Context(), cfg); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		queue string
		want  error
	}{
		{"limited", mq.ErrNoDelay},
		{"interest", mq.ErrNoDelay},
		{"wide", mq.ErrNoDelay},
		{"missing", mq.ErrReturned},
		{"", mq.ErrReturned},
	} {
		t.Run(tt.queue, func(t *testing.T) {
			err := broker.PublishLater(t.Context(), tt.queue, time.Second, &flow.Message{})
			if !errors.Is(err, tt.want) {
				t.Errorf("PublishLater() = %v, want %v", err, tt.want)
			}
			if again := broker.PublishLater(t.Context(), tt.queue, time.Second, &flow.Message{}); !errors.Is(again, tt.want) {
				t.Errorf("PublishLater() = %v the second time, want %v", again, tt.want)
			}
		})
	}
}

func TestDelaysAreNotForged(t *testing.T) {
	t.Parallel()
	e := startExternal(t, nil)
	operator, broker := newOperator(t, e.nats), openExternal(t, e)
	declare(t, broker, "q")
	publishLater(t, broker, "q", time.Millisecond, flow.Message{ID: "ours"})
	s := subscribe(t, broker, "q", 1)
	take := func() flow.Message {
		d := receive(t, s)
		settle(t, d, mq.Ack)
		return d.Message
	}
	if ours := take(); !ours.Source.Delayed {
		t.Error("our own message does not say that it was held back")
	}
	for _, header := range []nats.Header{
		{"Nats-Scheduler": {"mq.$later.q.x"}, "Nats-Schedule-Next": {"purge"}},
		{"Nats-Schedule": {"@at 2020-01-01T00:00:00Z"}, "Nats-Schedule-Target": {"mq.$due.q"}},
	} {
		msg := nats.NewMsg(jetstream.SubjectName("q"))
		msg.Header = header
		if _, err := operator.js.PublishMsg(t.Context(), msg); err != nil {
			t.Fatal(err)
		}
		if forged := take(); forged.Source.Delayed {
			t.Errorf("a message with headers %v passes for one that we held back", header)
		}
	}
}

// limitGateway makes two users, of which gateway may not change queues.
func limitGateway(o *server.Options) {
	o.Users = []*server.User{
		{Username: "operator", Password: "p"},
		{Username: "gateway", Password: "p", Permissions: &server.Permissions{
			Publish: &server.SubjectPermission{
				Allow: []string{"mq.>", "$JS.API.>", "$JS.ACK.>"}, Deny: []string{"$JS.API.STREAM.UPDATE.>"},
			},
			Subscribe: &server.SubjectPermission{Allow: []string{"_INBOX.>"}},
		}},
	}
}

// openAs opens a broker of a user of limitGateway.
func openAs(t testing.TB, e *external, user string, cfg jetstream.Config) *jetstream.Broker {
	t.Helper()
	return openAt(t, cfg, mq.ConnectionConfig{
		Hostname: []string{"127.0.0.1"}, Port: e.opts.Port, Username: user, Password: "p",
	})
}

func TestWhoMayNotChangeQueuesHoldsNothingBack(t *testing.T) {
	t.Parallel()
	e := startExternal(t, limitGateway)
	patient, operator := openAs(t, e, "gateway", jetstream.Config{}), openAs(t, e, "operator", jetstream.Config{})
	declare(t, patient, "q")
	limited := openAs(t, e, "gateway", jetstream.Config{ConfirmTimeout: time.Second})
	eventually(t, "the queue holds nothing back, and why is told", func() bool {
		err := limited.PublishLater(t.Context(), "q", time.Millisecond, &flow.Message{})
		return errors.Is(err, mq.ErrNoDelay) && strings.Contains(err.Error(), "STREAM.UPDATE")
	})
	publish(t, patient, "q", flow.Message{ID: "at once"})
	s := subscribe(t, patient, "q", 1)
	settle(t, receive(t, s), mq.Ack)

	publishLater(t, operator, "q", time.Millisecond, flow.Message{ID: "later"})
	if d := receive(t, s); d.Message.ID != "later" || !d.Message.Source.Delayed {
		t.Errorf("received %q, delayed %t, want what another user held back", d.Message.ID, d.Message.Source.Delayed)
	}
}

// TestLossOfTheConnectionIsNoRefusal: a queue that holds nothing back is not asked for
// a minute.
func TestLossOfTheConnectionIsNoRefusal(t *testing.T) {
	t.Parallel()
	e := startExternal(t, limitGateway)
	broker := openAs(t, e, "gateway", jetstream.Config{Instance: instance})
	declare(t, broker, "q")
	held := make(chan error)
	go func() { held <- broker.PublishLater(t.Context(), "q", time.Millisecond, &flow.Message{}) }()
	eventually(t, "the server has complained, and answers nothing", broker.Refused)
	cut(t, e.nats)
	if err := <-held; err == nil || errors.Is(err, mq.ErrNoDelay) || errors.Is(err, mq.ErrUnknown) {
		t.Errorf("PublishLater() = %v, want that nothing was sent, which blames nobody", err)
	}
}

func TestMessagesAreHeldBackForLongerThanTheyMayLie(t *testing.T) {
	t.Parallel()
	embedded := startEmbedded(t, jetstream.EmbeddedConfig{Sync: "1s"})
	broker := openEmbedded(t, embedded)
	if err := broker.Declare(t.Context(), mq.Queue{Name: "q", Kind: mq.Quorum, TTL: 500 * time.Millisecond}); err != nil {
		t.Fatal(err)
	}
	s := subscribe(t, broker, "q", 1)
	for seconds := range 10 { // a machine that stands still loses one, when it has come
		publishLater(t, broker, "q", time.Duration(seconds+2)*time.Second, flow.Message{ID: "later"})
	}
	if d := receive(t, s); d.Message.ID != "later" {
		t.Errorf("received %q, want a message that was held back", d.Message.ID)
	}
}

// TestWhatIsHeldBackFits has a limit on the size of messages: the server lets no
// message out that exceeds it, and tells nobody.
func TestWhatIsHeldBackFits(t *testing.T) {
	t.Parallel()
	e := startExternal(t, nil)
	broker := openExternal(t, e)
	if _, err := newOperator(t, e.nats).js.CreateStream(t.Context(), natsjs.StreamConfig{
		Name: jetstream.StreamName("q"), Subjects: []string{jetstream.SubjectName("q")}, Retention: natsjs.WorkQueuePolicy, MaxMsgSize: 1000,
	}); err != nil {
		t.Fatal(err)
	}
	size := 1001
	for err := errors.New("not published yet"); err != nil; {
		size--
		err = broker.PublishLater(t.Context(), "q", time.Millisecond, &flow.Message{Body: make([]byte, size)})
		if err != nil && flow.CodeOf(err) != flow.BadMessage {
			t.Fatalf("PublishLater() of %d bytes = %v, want code %d", size, err, flow.BadMessage)
		}
	}
	if got := len(receive(t, subscribe(t, broker, "q", 1)).Message.Body); got != size {
		t.Errorf("received %d bytes, want %d", got, size)
	}
}

func TestQueuesMadeAnewHoldBackAgain(t *testing.T) {
	t.Parallel()
	e := startExternal(t, nil)
	operator, broker := newOperator(t, e.nats), openExternal(t, e)
	for range 2 {
		declare(t, broker, "q")
		publishLater(t, broker, "q", time.Hour, flow.Message{})
		operator.DeleteQueue(t, "q")
	}
	if err := broker.PublishLater(t.Context(), "q", time.Second, &flow.Message{}); !errors.Is(err, mq.ErrReturned) {
		t.Errorf("PublishLater() to a deleted queue = %v, want %v", err, mq.ErrReturned)
	}
}

// TestOverdueMessagesComeAtLast has a server that has no room left when messages
// are due: it does not try again by itself.
func TestOverdueMessagesComeAtLast(t *testing.T) {
	t.Parallel()
	e := startExternal(t, func(o *server.Options) { o.JetStreamMaxStore, o.JetStreamMaxMemory = 1<<20, 1<<20 })
	operator, broker := newOperator(t, e.nats), openExternal(t, e)
	broker.SetOverdue(500 * time.Millisecond)
	declare(t, broker, "filler")
	var due time.Time
	for delay := 2 * time.Second; !time.Now().Before(due); delay *= 2 { // a slow machine needs longer
		if info := operator.queue(t, "q"); info != nil {
			operator.DeleteQueue(t, "q")
			purge(t, broker, "filler", int(operator.queue(t, "filler").State.Msgs))
		}
		declare(t, broker, "q")
		due = time.Now().Add(delay)
		for i := range 3 {
			publishLater(t, broker, "q", delay, flow.Message{ID: fmt.Sprint(i), Body: make([]byte, 50_000)})
		}
		for err := error(nil); err == nil; {
			err = broker.Publish(t.Context(), flow.Address{Key: "filler"}, &flow.Message{Body: make([]byte, 20_000)})
		}
	}
	time.Sleep(time.Until(due.Add(time.Second))) // the server has tried
	if got := operator.Messages(t, "q"); got != 0 {
		t.Fatalf("%d messages came although there is no room for them", got)
	}
	if _, err := broker.Purge(t.Context(), "filler"); err != nil {
		t.Fatal(err)
	}
	s, seen := subscribe(t, broker, "q", 1), map[string]bool{}
	for len(seen) < 3 {
		d := receive(t, s)
		if seen[d.Message.ID] || len(d.Message.Body) != 50_000 || !d.Message.Source.Delayed {
			t.Errorf("received %q of %d bytes, delayed %t, again %t", d.Message.ID, len(d.Message.Body), d.Message.Source.Delayed, seen[d.Message.ID])
		}
		seen[d.Message.ID] = true
		settle(t, d, mq.Ack)
	}
	eventually(t, "nothing is held back any more", func() bool { return operator.queue(t, "q").State.Msgs == 0 })
}
