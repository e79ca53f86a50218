package rabbitmq

import (
	"strings"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"mqgateway/internal/flow"
	"mqgateway/internal/mq"
)

// typical is a subscription and a delivery as most are.
func typical() (*subscription, amqp.Delivery) {
	s := &subscription{queue: "orders.in", session: &session{broker: &Broker{manager: "QM1"}}}
	return s, amqp.Delivery{
		Headers:     amqp.Table{"a": "one", "b": "two", "c": "three", "d": "four"},
		ContentType: "text/xml; charset=utf-8", DeliveryMode: amqp.Persistent,
		MessageId: "id", CorrelationId: "correl", ReplyTo: "orders.replies",
		Timestamp: time.Unix(1_700_000_000, 0), Expiration: "60000",
		DeliveryTag: 7, RoutingKey: "orders.in", Body: []byte(strings.Repeat("x", 1024)),
	}
}

var received *mq.Delivery

func TestDeliveryAllocations(t *testing.T) {
	s, d := typical()
	// The delivery itself, and the slice of its headers.
	if got := testing.AllocsPerRun(10_000, func() { received = s.delivery(&d) }); got > 2 {
		t.Errorf("%v allocations a delivery, want 2", got)
	}
}

func BenchmarkDelivery(b *testing.B) {
	s, d := typical()
	b.ReportAllocs()
	for b.Loop() {
		received = s.delivery(&d)
	}
}

func BenchmarkOutgoing(b *testing.B) {
	s, d := typical()
	s.session.conn = &amqp.Connection{}
	m := s.delivery(&d).Message
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.session.outgoing(flow.Address{Key: "orders.out"}, &m); err != nil {
			b.Fatal(err)
		}
	}
}
