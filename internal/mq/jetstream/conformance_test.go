package jetstream_test

import (
	"errors"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"

	"mqgateway/internal/mq"
	"mqgateway/internal/mq/jetstream"
	"mqgateway/internal/mq/mqtest"
)

// conformanceAckWait is when messages come again that a broken connection had on
// its way. A machine that stands still for half of that lets others come again, too.
const conformanceAckWait = 10 * time.Second

func TestConformanceExternal(t *testing.T) {
	mqtest.Run(t, func(t *testing.T) mqtest.Harness {
		e := startExternal(t, nil)
		return &externalHarness{external: e, operator: newOperator(t, e.nats)}
	}, mqtest.Features{Product: "NATS JetStream " + server.VERSION, Expiry: true})
}

func TestConformanceEmbedded(t *testing.T) {
	mqtest.Run(t, func(t *testing.T) mqtest.Harness {
		e := startEmbedded(t, jetstream.EmbeddedConfig{Sync: "1s"})
		return &embeddedHarness{embedded: e, operator: newOperator(t, e.NATS())}
	}, mqtest.Features{Product: "embedded NATS JetStream " + server.VERSION, Expiry: true})
}

// externalHarness is a server of its own, reached by TCP.
type externalHarness struct {
	operator
	external *external
}

var _ mqtest.Restarter = (*externalHarness)(nil)

func (h *externalHarness) Open(t testing.TB) mq.Broker {
	broker := newExternalBroker(t, h.external)
	broker.SetAckWait(conformanceAckWait)
	return broker
}

func (h *externalHarness) Break(t testing.TB) { cut(t, h.external.nats) }
func (h *externalHarness) Stop(testing.TB)    { h.external.stop() }

func (h *externalHarness) Start(t testing.TB) {
	h.external.start(t)
	h.operator = newOperator(t, h.external.nats)
}

// embeddedHarness is the server of the process, reached within it. It can't be
// stopped without its brokers.
type embeddedHarness struct {
	operator
	embedded *jetstream.Server
}

func (h *embeddedHarness) Open(t testing.TB) mq.Broker {
	broker := newEmbeddedBroker(t, h.embedded)
	broker.SetAckWait(conformanceAckWait)
	return broker
}

func (h *embeddedHarness) Break(t testing.TB) { cut(t, h.embedded.NATS()) }

// operator works on a server with means other than the driver's.
type operator struct {
	nc *nats.Conn
	js natsjs.JetStream
}

var _ mqtest.CountedMaker = operator{}

func newOperator(t testing.TB, s *server.Server) operator {
	t.Helper()
	nc := foreign(t, "", nats.InProcessServer(s))
	js, err := natsjs.New(nc, natsjs.WithDefaultTimeout(patience))
	if err != nil {
		t.Fatal(err)
	}
	return operator{nc: nc, js: js}
}

// MakeQueue has limits, which the driver never sets, and leaves the consumer to it.
func (o operator) MakeQueue(t testing.TB, name string) {
	t.Helper()
	if _, err := o.js.CreateStream(t.Context(), natsjs.StreamConfig{
		Name:        jetstream.StreamName(name),
		Subjects:    []string{jetstream.SubjectName(name)},
		Retention:   natsjs.WorkQueuePolicy,
		MaxMsgs:     100_000,
		MaxBytes:    1 << 30,
		Discard:     natsjs.DiscardOld,
		Compression: natsjs.S2Compression,
		AllowMsgTTL: true,
	}); err != nil {
		t.Fatalf("making queue %q: %v", name, err)
	}
}

// MakeCounted makes any queue: all count.
func (o operator) MakeCounted(t testing.TB, name string) { o.MakeQueue(t, name) }

func (o operator) DeleteQueue(t testing.TB, name string) {
	t.Helper()
	if err := o.js.DeleteStream(t.Context(), jetstream.StreamName(name)); err != nil {
		t.Fatalf("deleting queue %q: %v", name, err)
	}
}

func (o operator) Put(t testing.TB, queue, body string, headers map[string]string) {
	t.Helper()
	msg := nats.NewMsg(jetstream.SubjectName(queue))
	msg.Data = []byte(body)
	for name, value := range headers {
		msg.Header.Set(name, value)
	}
	if _, err := o.js.PublishMsg(t.Context(), msg); err != nil {
		t.Fatalf("putting a message on queue %q: %v", queue, err)
	}
}

func (o operator) Messages(t testing.TB, queue string) int {
	t.Helper()
	info := o.queue(t, queue)
	if info == nil {
		return -1
	}
	n := info.State.Msgs
	for _, heldBack := range info.State.Subjects {
		n -= heldBack
	}
	return int(n)
}

// queue is what the server tells of a queue, with the subjects of what is held back;
// nil of one that does not exist.
func (o operator) queue(t testing.TB, name string) *natsjs.StreamInfo {
	t.Helper()
	stream, err := o.js.Stream(t.Context(), jetstream.StreamName(name))
	if errors.Is(err, natsjs.ErrStreamNotFound) {
		return nil
	}
	if err != nil {
		t.Fatalf("looking up queue %q: %v", name, err)
	}
	info, err := stream.Info(t.Context(), natsjs.WithSubjectFilter(jetstream.LaterSubjects(name)))
	if err != nil {
		t.Fatalf("looking up queue %q: %v", name, err)
	}
	return info
}
