package mapping

import (
	"context"

	"github.com/google/uuid"

	"mqgateway/api/proto/gateway"
	"mqgateway/internal/flow"
)

// answerNamespace is the UUID namespace of the ids of answers. It never changes:
// the answer to a repeated request has the id that it had before.
var answerNamespace = uuid.MustParse("18d170e9-2f89-4fe7-8f67-0873aa944912")

// answerIgnores are the system headers of an answer that set nothing: services
// echo those of the request.
var answerIgnores = propertiesOf("MsgId", "CorrelId", "Expiry")

// The properties that say where a request wants its answer.
var (
	replyToQ, _    = flow.PropertyByName("ReplyToQ")
	replyToQMgr, _ = flow.PropertyByName("ReplyToQMgr")
)

// Answer makes the message that is sent for p, the answer of a microservice to
// request; call has the header and trailer metadata of the answer. It is as
// [Outbound.FromProto], but for the ids and the life of the message, which are
// the answer's own only where they are no echo of the request's. An answer
// without an id of its own gets one that is derived from the request's, the same
// each time.
func (o *Outbound) Answer(request *flow.Message, p *gateway.ProtoMessage, call *flow.Call) (*flow.Message, error) {
	m, information, err := o.message(p, call, answerIgnores)
	if err != nil {
		return nil, err
	}
	dropEchoes(m, request)
	if err := checkIDs(m); err != nil {
		return nil, err
	}
	if m.ID == "" {
		m.ID, m.IDMade = uuid.NewSHA1(answerNamespace, []byte(request.ID)).String(), true
	}
	if m.CorrelID == "" {
		m.CorrelID = o.correlation(request)
	}
	if err := o.address(m, o.answerRanks(m, information, request), "answer names no destination, its request has no ReplyToQ"); err != nil {
		return nil, err
	}
	if m.ReplyTo == "" {
		m.ReplyToManager = ""
	}
	return m, nil
}

// dropEchoes takes out what a service copied from its request: the ids, and the
// address for the answer, which is no address for an answer to it.
func dropEchoes(m, request *flow.Message) {
	if m.ID == request.ID {
		m.ID = ""
	}
	if m.CorrelID == request.ID || m.CorrelID == request.CorrelID {
		m.CorrelID = ""
	}
	if m.ReplyTo == replyToQ.Text(request) {
		m.ReplyTo = ""
	}
}

// correlation is the correlation id by which the sender of the request knows the
// answer. Where it set only one of its ids, it is that one; an id that the gateway
// made says nothing to it.
func (o *Outbound) correlation(request *flow.Message) string {
	switch {
	case request.IDMade, o.options.ReplyByCorrelID && request.CorrelID != "":
		return request.CorrelID
	default:
		return request.ID
	}
}

// Answerable refuses requests whose answer could go nowhere, before a service is
// called for them.
func (o *Outbound) Answerable(next flow.Handler) flow.Handler {
	if o.options.CustomDestination || o.options.SendQueue != "" {
		return next // Any answer may name its destination, or all have the same.
	}
	return func(ctx context.Context, request *flow.Message) (*flow.Message, error) {
		if err := o.checkReplyAddress(request); err != nil {
			return nil, err
		}
		return next(ctx, request)
	}
}

func (o *Outbound) checkReplyAddress(request *flow.Message) error {
	var answer flow.Message
	return o.address(&answer, o.answerRanks(&answer, nil, request), "request has no ReplyToQ for its answer")
}
