package mapping

import (
	"time"

	"mqgateway/api/proto/gateway"
	"mqgateway/internal/flow"
)

// defaultMaxProcessingTime bounds the life of requests where nothing else does.
const defaultMaxProcessingTime = 30 * time.Second

// Request makes the message that is sent for p, a request whose reply is waited
// for. It is as [Outbound.FromProto], but that it has a correlation id always, is
// of type request and lives no longer than its reply is waited for. Ids that p
// does not set begin with the tag; those that it sets stay.
func (o *Outbound) Request(p *gateway.ProtoMessage, call *flow.Call) (*flow.Message, error) {
	m, err := o.outgoing(p, call, o.taggedID)
	if err != nil {
		return nil, err
	}
	if m.CorrelID == "" {
		m.CorrelID = o.taggedID()
	}
	m.Type = flow.Request
	if m.Expiry == 0 || m.Expiry > o.options.MaxProcessingTime {
		m.Expiry = o.options.MaxProcessingTime
	}
	return m, nil
}

func (o *Outbound) taggedID() string {
	if o.options.Tag == "" {
		return o.options.NewID()
	}
	return o.options.Tag + "." + o.options.NewID()
}
