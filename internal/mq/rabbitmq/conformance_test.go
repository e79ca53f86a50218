package rabbitmq_test

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"mqgateway/internal/mq"
	"mqgateway/internal/mq/mqtest"
	"mqgateway/internal/mq/rabbitmq"
	"mqgateway/test/rabbittest"
)

// harness is a virtual host for the conformance suite, whose queues have a type.
type harness struct {
	*rabbittest.VHost
	queueType string
}

var _ interface {
	mqtest.Restarter
	mqtest.Blocker
	mqtest.ExchangeMaker
	mqtest.DeadLetterer
	mqtest.CountedMaker
	mqtest.PriorityMaker
	mqtest.QueueExpirer
} = harness{}

func TestConformance(t *testing.T) {
	node := rabbittest.Start(t) // some rules stop it
	for _, queueType := range []string{amqp.QueueTypeClassic, amqp.QueueTypeQuorum} {
		t.Run(queueType, func(t *testing.T) {
			mqtest.Run(t, func(t *testing.T) mqtest.Harness { return harness{node.VHost(t), queueType} }, mqtest.Features{
				Product:  "RabbitMQ " + node.Version(),
				UserID:   "guest",
				Received: receivedAs,
				Expiry:   true,
			})
		})
	}
}

// receivedAs widens what AMQP 0.9.1 has no type for in RabbitMQ.
func receivedAs(v any) any {
	if n, ok := v.(uint64); ok {
		return int64(n)
	}
	return v
}

func (h harness) Open(t testing.TB) mq.Broker {
	return open(t, h.VHost, func(c *rabbitmq.Config) {
		c.Silence = time.Second // the broker does not always tell that a queue was deleted
	})
}

func (h harness) make(t testing.TB, name string, args amqp.Table) {
	t.Helper()
	if _, err := h.Channel(t).QueueDeclare(name, true, false, false, false, args); err != nil {
		t.Fatal(err)
	}
}

func (h harness) MakeQueue(t testing.TB, name string) {
	t.Helper()
	h.make(t, name, amqp.Table{amqp.QueueTypeArg: h.queueType, "x-max-length": 1_000_000})
}

func (h harness) DeleteQueue(t testing.TB, name string) {
	t.Helper()
	if _, err := h.Channel(t).QueueDelete(name, false, false, false); err != nil {
		t.Fatal(err)
	}
}

func (h harness) Messages(t testing.TB, name string) int { return h.VHost.Messages(t, name) }

func (h harness) Put(t testing.TB, queue, body string, headers map[string]string) {
	t.Helper()
	ch := h.Channel(t)
	if err := ch.Confirm(false); err != nil {
		t.Fatal(err)
	}
	table := amqp.Table{}
	for name, text := range headers {
		table[name] = text
	}
	confirm, err := ch.PublishWithDeferredConfirm("", queue, true, false, amqp.Publishing{Headers: table, Body: []byte(body)})
	if err != nil {
		t.Fatal(err)
	}
	if !confirm.Wait() {
		t.Fatal("the message was refused")
	}
}

func (h harness) Break(t testing.TB) { h.CloseConnections(t) }

func (h harness) Stop(t testing.TB) { h.Node.Stop(t) }

func (h harness) Start(t testing.TB) { h.Node.Start(t) }

func (h harness) Block(t testing.TB, on bool) { h.Node.SetMemoryAlarm(t, on) }

func (h harness) MakeExchange(t testing.TB, exchange, key, queue string) {
	t.Helper()
	ch := h.Channel(t)
	if err := ch.ExchangeDeclare(exchange, amqp.ExchangeDirect, true, false, false, false, nil); err != nil {
		t.Fatal(err)
	}
	if err := ch.QueueBind(queue, key, exchange, false, nil); err != nil {
		t.Fatal(err)
	}
}

func (h harness) MakeDeadLettered(t testing.TB, queue, deadLetters string) {
	t.Helper()
	h.make(t, queue, amqp.Table{"x-dead-letter-exchange": "", "x-dead-letter-routing-key": deadLetters})
}

func (h harness) MakeCounted(t testing.TB, queue string) {
	t.Helper()
	h.make(t, queue, amqp.Table{amqp.QueueTypeArg: amqp.QueueTypeQuorum})
}

func (h harness) MakePrioritized(t testing.TB, queue string) {
	t.Helper()
	h.make(t, queue, amqp.Table{"x-max-priority": 9})
}

// QueueExists does not ask by AMQP, which would renew the queue's life. While a
// quorum queue is being deleted the server answers with an internal error: it is
// still there then.
func (h harness) QueueExists(t testing.TB, name string) bool {
	t.Helper()
	resp, err := http.Get(h.Node.ManagementURI() + "/api/queues/" + h.Name + "/" + url.PathEscape(name))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusOK, http.StatusInternalServerError:
		return true
	case http.StatusNotFound:
		return false
	}
	t.Fatalf("looking up queue %q: %s", name, resp.Status)
	return false
}
