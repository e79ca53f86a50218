package jetstream_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"

	"mqgateway/internal/flow"
	"mqgateway/internal/mq"
	"mqgateway/internal/mq/jetstream"
)

// A message may fill max_payload, so that there is no room for what a dead letter adds.
func TestDeadLettersOfTheLargestMessages(t *testing.T) {
	t.Parallel()
	const limit = 64 << 10
	e := startExternal(t, func(o *server.Options) { o.MaxPayload = limit })
	broker := openExternal(t, e)
	declare(t, broker, "q")
	manager := (&mq.Managers{}).Add("M", broker, mq.ManagerOptions{Log: slog.New(slog.DiscardHandler), Metrics: mq.NewMetrics(prometheus.NewRegistry())})
	letters := &mq.DeadLetters{Kind: mq.Quorum, Instance: "pod-1"}
	declare(t, broker, "q.DLQ")
	l := letterBench{letters, manager, subscribe(t, broker, "q", 1), subscribe(t, broker, "q.DLQ", 1)}
	for name, m := range map[string]flow.Message{
		"all properties": {
			ID: "1", CorrelID: "c", ReplyTo: "r", UserID: "u", Expiry: time.Minute, Persistence: flow.NonPersistent,
			Headers: []flow.Header{{Name: "n", Value: int32(1)}, {Name: "CC", Value: []any{"x"}}, {Name: "text", Value: strings.Repeat("x", 500)}},
		},
		"nothing":  {},
		"id alone": {ID: "1"},
	} {
		most := largest(t, broker, m, limit)
		settle(t, receive(t, l.in), mq.Ack)
		for _, room := range []int{0, 1, 40, 100, 300, 1000, 2000, 4000} {
			t.Run(fmt.Sprintf("%s, %d bytes of room", name, room), func(t *testing.T) {
				m.Body = make([]byte, most-room)
				publish(t, broker, "q", m)
				l.check(t, &m, room)
			})
		}
	}
	t.Run("a foreign program's", func(t *testing.T) {
		foreign, err := nats.Connect(e.url())
		if err != nil {
			t.Fatal(err)
		}
		defer foreign.Close()
		m := flow.Message{Body: make([]byte, limit)}
		if _, err := foreign.Request(jetstream.SubjectName("q"), m.Body, patience); err != nil {
			t.Fatal(err)
		}
		l.check(t, &m, 0)
	})
}

// letterBench makes dead letters of messages in a queue.
type letterBench struct {
	letters *mq.DeadLetters
	manager *mq.Manager
	in, dlq mq.Subscription
}

// check makes a dead letter of a message that is in the queue, and has so much room left.
func (l *letterBench) check(t *testing.T, sent *flow.Message, room int) {
	t.Helper()
	d := receive(t, l.in)
	defer settle(t, d, mq.Ack)
	if _, err := l.letters.Write(t.Context(), l.manager, &d.Message, errors.New(strings.Repeat("no ", 1000))); err != nil {
		t.Fatalf("writing a letter of a message of %d bytes: %v", len(sent.Body), err)
	}
	letter := receive(t, l.dlq)
	settle(t, letter, mq.Ack)
	if got := &letter.Message; !bytes.Equal(got.Body, sent.Body) || got.CorrelID != sent.CorrelID {
		t.Errorf("letter has %d bytes, correlation id %q, want %d, %q", len(got.Body), got.CorrelID, len(sent.Body), sent.CorrelID)
	}
	if read := mq.ReadLetter(letter.Message); room >= 1000 && read.Queue != "q" {
		t.Error("letter does not tell its queue, although there is room")
	}
}

// largest is the size of the largest body that m can have. It leaves a message in the queue.
func largest(t *testing.T, broker mq.Broker, m flow.Message, limit int) int {
	t.Helper()
	for n := limit; ; n-- {
		m.Body = make([]byte, n)
		switch err := broker.Publish(t.Context(), flow.Address{Key: "q"}, &m); {
		case err == nil:
			return n
		case flow.CodeOf(err) != flow.BadMessage:
			t.Fatal(err)
		}
	}
}
