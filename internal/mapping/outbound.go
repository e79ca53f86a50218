package mapping

import (
	"time"

	"mqgateway/api/proto/gateway"
	"mqgateway/api/proto/gateway/mq"
	"mqgateway/internal/flow"
)

// OutboundOptions say how messages for a broker are made.
type OutboundOptions struct {
	// Role decides what ReplyToQ of a message means: a consumer gateway sends it
	// there, for a provider gateway it is the address for the reply.
	Role flow.Role
	// SendQueue is mq.connection.sendQueue; it may be empty.
	SendQueue string
	// CustomDestination is mq.connection.sendToCustomDestination.
	CustomDestination bool
	// ReplyByCorrelID is mq.replyByCorrelId: answers carry the correlation id of
	// their requests, rather than their message id.
	ReplyByCorrelID bool
	// Tag begins the ids that are made for synchronous requests, by which replies
	// find the instance that waits for them; empty for none.
	Tag string
	// MaxProcessingTime bounds the life of a synchronous request
	// (mq.syncReceiver.maxProcessingTime); 0 is 30 s.
	MaxProcessingTime time.Duration
	// Defaults are mq.outbound.
	Defaults OutboundConfig
	// Managers are the ids of the managers that are configured.
	Managers []string
	// User is whom the gateway is to every manager. A UserIdentifier of anybody
	// else is ignored; empty ignores all.
	User string
	// NewID makes the id of a message that has none; nil is [NewID].
	NewID func() string
	// Now is the time that messages are put at; nil is [time.Now].
	Now func() time.Time
}

// Outbound makes messages for a broker of what microservices send. It may be
// used by many goroutines at once.
type Outbound struct {
	options OutboundOptions
	headers []flow.Header
}

// NewOutbound fills the options that are not set. Values that Validate of
// [OutboundConfig] refuses have to be refused before.
func NewOutbound(options OutboundOptions) *Outbound {
	if options.NewID == nil {
		options.NewID = NewID
	}
	if options.Now == nil {
		options.Now = time.Now
	}
	if options.MaxProcessingTime <= 0 {
		options.MaxProcessingTime = defaultMaxProcessingTime
	}
	return &Outbound{options: options, headers: defaultHeaders(options.Defaults.Headers)}
}

// FromProto makes the message that is sent for p, which came by call; call may
// be nil. Properties are set by the extension, else by the system headers, else
// by the defaults. What no broker could take is BadMessage naming the field; a
// manager that is not configured is BrokerFailed.
func (o *Outbound) FromProto(p *gateway.ProtoMessage, call *flow.Call) (*flow.Message, error) {
	return o.outgoing(p, call, o.options.NewID)
}

// outgoing is FromProto with ids that newID makes.
func (o *Outbound) outgoing(p *gateway.ProtoMessage, call *flow.Call, newID func() string) (*flow.Message, error) {
	m, information, err := o.message(p, call, 0)
	if err != nil {
		return nil, err
	}
	if err := checkIDs(m); err != nil {
		return nil, err
	}
	if m.ID == "" {
		m.ID, m.IDMade = newID(), true
	}
	if err := o.address(m, o.ranks(m, information), "message names no destination"); err != nil {
		return nil, err
	}
	return m, nil
}

// message is what all messages for a broker have in common: everything but the
// ids that the gateway makes, and the destination. System headers of the ignored
// properties set nothing.
func (o *Outbound) message(p *gateway.ProtoMessage, call *flow.Call, ignored propertySet) (*flow.Message, *mq.MqMessageInformation, error) {
	m := &flow.Message{
		ID:        p.GetMessageId(),
		CorrelID:  p.GetCorrelationId(),
		Body:      []byte(p.GetBody()),
		Timestamp: o.options.Now(),
		Call:      call,
	}
	information, err := unpackExtension(p.GetExtension())
	if err != nil {
		return nil, nil, err
	}
	if err := o.setProperties(m, p.GetSystemHeaders(), ignored, information); err != nil {
		return nil, nil, err
	}
	if m.Headers, err = o.userHeaders(p.GetUserHeaders()); err != nil {
		return nil, nil, err
	}
	if m.ContentType == "" {
		m.ContentType = contentTypeOf(p.GetBody())
	}
	return m, information, nil
}

// setProperties fills m from the weakest to the strongest: system headers, then
// the extension over them; defaults take what is left.
func (o *Outbound) setProperties(m *flow.Message, headers map[string]string, ignored propertySet, information *mq.MqMessageInformation) error {
	byHeader, err := applySystemHeaders(m, headers, ignored)
	if err != nil {
		return err
	}
	byExtension := applyInformation(m, information)
	if !byHeader && !byExtension {
		m.Expiry = o.options.Defaults.Expiry
	}
	if m.Priority == 0 {
		m.Priority = uint8(o.options.Defaults.Priority)
	}
	if m.Persistence == 0 {
		m.Persistence = o.options.Defaults.persistence()
	}
	if m.UserID != o.options.User {
		m.UserID = ""
	}
	m.ContentType = correctCharset(m.ContentType)
	return nil
}

// checkIDs holds ids that a microservice set against the limit.
func checkIDs(m *flow.Message) error {
	if err := checkShort("messageId", m.ID); err != nil {
		return err
	}
	return checkShort("correlationId", m.CorrelID)
}

// userHeaders are the headers of a call without those that belong to the broker
// or to the gateway, and the default headers that it does not have.
func (o *Outbound) userHeaders(values map[string]string) ([]flow.Header, error) {
	headers := make([]flow.Header, 0, len(values)+len(o.headers))
	for name, value := range values {
		h := flow.Header{Name: name, Value: value}
		if h.Reserved() {
			continue
		}
		if err := checkHeader(name, value); err != nil {
			return nil, err
		}
		headers = append(headers, h)
	}
	for _, h := range o.headers {
		if _, ok := values[h.Name]; !ok {
			headers = append(headers, h)
		}
	}
	return headers, checkHeaders(headers)
}
