package rabbitmq

import (
	"strconv"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"mqgateway/internal/flow"
)

const (
	// maxShort is what a short string of AMQP holds.
	maxShort = 255
	// maxBody is the largest message that any RabbitMQ takes unless it is told
	// otherwise; newer ones take 16 MiB.
	maxBody = 128 << 20
	// contentHeader is the size of a header frame around the properties.
	contentHeader = 8 + 14
)

// short refuses a text that is too long for a short string: the library would
// end the connection over it.
func short(name, text string) error {
	if len(text) > maxShort {
		return flow.Errorf(flow.BadMessage, "%s has %d bytes; the limit is %d", name, len(text), maxShort)
	}
	return nil
}

// outgoing makes what the library publishes. The error has the code BadMessage
// for anything that would end a channel or a connection.
func (s *session) outgoing(to flow.Address, m *flow.Message) (*amqp.Publishing, error) {
	p := &amqp.Publishing{
		MessageId: m.ID, CorrelationId: m.CorrelID, ReplyTo: m.ReplyTo,
		Type: m.JMSType, UserId: m.UserID, AppId: m.AppID,
		ContentType: m.ContentType, ContentEncoding: m.ContentEncoding,
		Priority: m.Priority, DeliveryMode: uint8(flow.Persistent), Timestamp: m.Timestamp,
		Body: m.Body,
	}
	if m.Persistence == flow.NonPersistent {
		p.DeliveryMode = uint8(flow.NonPersistent)
	}
	properties, err := shortStrings(to, p)
	if err != nil {
		return nil, err
	}
	if m.UserID != "" && m.UserID != s.address.username {
		return nil, flow.Errorf(flow.BadMessage, "UserIdentifier %q is not the user of the connection, which the broker would refuse", m.UserID)
	}
	if p.Expiration, err = expiration(m.Expiry); err != nil {
		return nil, err
	}
	if len(m.Body) > maxBody {
		return nil, flow.Errorf(flow.BadMessage, "body has %d bytes; the limit is %d", len(m.Body), maxBody)
	}
	headers, size, err := toTable(m)
	if err != nil {
		return nil, err
	}
	p.Headers = headers
	if limit := s.conn.Config.FrameSize; limit > 0 && contentHeader+properties+size > limit {
		return nil, flow.Errorf(flow.BadMessage, "properties and headers have %d bytes; the broker's limit (frame_max) is %d",
			properties+size, limit-contentHeader)
	}
	return p, nil
}

// shortStrings checks all short strings and returns the size of the properties,
// without the headers.
func shortStrings(to flow.Address, p *amqp.Publishing) (size int, err error) {
	const fixed = 1 + 1 + 8 + 1 + 10 // delivery mode, priority, timestamp, expiration
	size = fixed
	for _, f := range [...]struct{ name, text string }{
		{"MsgId", p.MessageId},
		{"CorrelId", p.CorrelationId},
		{"ReplyToQ", p.ReplyTo},
		{"Type", p.Type},
		{"UserIdentifier", p.UserId},
		{"PutApplName", p.AppId},
		{"ContentType", p.ContentType},
		{"ContentEncoding", p.ContentEncoding},
		{"exchange", to.Exchange},
		{"routing key", to.Key},
	} {
		if err := short(f.name, f.text); err != nil {
			return 0, err
		}
		size += 1 + len(f.text)
	}
	return size, nil
}

// expiration is the life of the message in whole milliseconds.
func expiration(life time.Duration) (string, error) {
	if life == 0 {
		return "", nil
	}
	if life < 0 || life > flow.MaxExpiry || life%time.Millisecond != 0 {
		return "", flow.Errorf(flow.BadMessage, "Expiry %s is not a whole number of milliseconds from 0 to %d", life, flow.MaxExpiry.Milliseconds())
	}
	return strconv.FormatInt(life.Milliseconds(), 10), nil
}
