package rabbitmq

import (
	"strconv"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"mqgateway/internal/flow"
	"mqgateway/internal/mq"
)

// The headers of this gateway and of the broker that are properties of a message.
const (
	headerType       = "x-mq-msg-type"
	headerManager    = "x-reply-to-manager"
	headerDeliveries = "x-delivery-count"
	headerAcquired   = "x-acquired-count"
)

// delivery makes what a reader gets of an AMQP delivery.
func (s *subscription) delivery(d *amqp.Delivery) *mq.Delivery {
	out := &mq.Delivery{Tag: d.DeliveryTag, Settler: s}
	s.session.read(&out.Message, d, s.queue)
	return out
}

// read makes the message of an AMQP delivery. Body and tables are not copied.
func (s *session) read(m *flow.Message, d *amqp.Delivery, queue string) {
	m.ID, m.CorrelID, m.ReplyTo = d.MessageId, d.CorrelationId, d.ReplyTo
	m.Expiry = expiryOf(d.Expiration)
	m.Priority, m.Persistence = d.Priority, persistenceOf(d.DeliveryMode)
	m.JMSType, m.UserID, m.AppID = d.Type, d.UserId, d.AppId
	m.ContentType, m.ContentEncoding = d.ContentType, d.ContentEncoding
	if !d.Timestamp.IsZero() {
		m.Timestamp = d.Timestamp.UTC()
	}
	m.Body = d.Body
	m.Source = flow.Source{
		Queue: queue, Manager: s.broker.manager,
		Exchange: d.Exchange, RoutingKey: d.RoutingKey, Redelivered: d.Redelivered,
	}
	if d.Redelivered {
		m.Source.Deliveries = 1
	}
	readHeaders(m, d.Headers)
	if d.UserId == s.address.username {
		unpark(m)
	}
}

// readHeaders takes all headers, and the properties that are headers in AMQP.
func readHeaders(m *flow.Message, table amqp.Table) {
	if len(table) == 0 {
		return
	}
	m.Headers = make([]flow.Header, 0, len(table))
	for name, value := range table {
		value = fromWire(value)
		m.Headers = append(m.Headers, flow.Header{Name: name, Value: value})
		switch name {
		case headerType:
			m.Type = messageTypeOf(value)
		case headerManager:
			m.ReplyToManager, _ = value.(string)
		case headerDeliveries:
			if n, ok := wholeNumber(value); ok {
				m.Source.Deliveries = int(n)
			}
		}
	}
}

// fromWire gives a value of the library its type in package flow. It changes
// tables and arrays in place: they belong to this message alone.
func fromWire(value any) any {
	switch v := value.(type) {
	case amqp.Table:
		for name, inner := range v {
			v[name] = fromWire(inner)
		}
		return map[string]any(v)
	case []any:
		if v == nil { // the library's empty array, which would look like no value
			return []any{}
		}
		for i, inner := range v {
			v[i] = fromWire(inner)
		}
		return v
	case amqp.Decimal:
		return flow.Decimal{Scale: v.Scale, Value: v.Value}
	default:
		return value
	}
}

// expiryOf reads the milliseconds of life; what is no number is for ever.
func expiryOf(text string) time.Duration {
	if text == "" {
		return 0
	}
	ms, err := strconv.ParseUint(text, 10, 32)
	if err != nil {
		return 0
	}
	return time.Duration(ms) * time.Millisecond
}

func persistenceOf(mode uint8) flow.Persistence {
	if mode > uint8(flow.Persistent) {
		return 0
	}
	return flow.Persistence(mode)
}

// messageTypeOf reads a type as number or as text; any other value is none.
func messageTypeOf(value any) flow.MessageType {
	n, ok := wholeNumber(value)
	if text, isText := value.(string); isText {
		var err error
		n, err = strconv.ParseInt(text, 10, 8)
		ok = err == nil
	}
	switch t := flow.MessageType(n); t {
	case flow.Request, flow.Reply, flow.Report, flow.Datagram:
		if ok && n == int64(t) {
			return t
		}
	}
	return 0
}

func wholeNumber(value any) (int64, bool) {
	switch v := value.(type) {
	case int8:
		return int64(v), true
	case uint8:
		return int64(v), true
	case int16:
		return int64(v), true
	case uint16:
		return int64(v), true
	case int32:
		return int64(v), true
	case uint32:
		return int64(v), true
	case int64:
		return v, true
	default:
		return 0, false
	}
}
