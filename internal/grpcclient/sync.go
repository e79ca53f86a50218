package grpcclient

import (
	"context"
	"fmt"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"mqgateway/api/proto/gateway"
	"mqgateway/internal/flow"
)

// answer is what a service answers to a request. One over the limit is measured
// and not decoded.
type answer struct {
	message gateway.ProtoMessage
	limit   int64
	// excess is the size of an answer over the limit, else 0.
	excess int64
}

// answerRoom is how many times the limit an answer may be large and is still told
// from a service that is short of something, for which gRPC has the same code. It
// bounds the memory that answers take; a larger one fails as such a service does.
const answerRoom = 4

// Answer makes the reply of what a service answered to a request; call has the
// header and trailer metadata of the answer.
type Answer func(request *flow.Message, p *gateway.ProtoMessage, call *flow.Call) (*flow.Message, error)

// Sync makes the handler that hands a message to MessageSyncChannel of its route's
// destination and returns the reply that answer makes of what the service said.
// Calls fail as those of [Caller.Async]. Once the service has answered every error
// is permanent, since it is not to be called again: an answer over the size limit,
// which is BadMessage as any message that is too large, and one of which no reply
// can be made.
func (c *Caller) Sync(answer Answer) flow.Handler {
	return func(ctx context.Context, m *flow.Message) (*flow.Message, error) { return c.sync(ctx, m, answer) }
}

func (c *Caller) sync(ctx context.Context, m *flow.Message, replyOf Answer) (*flow.Message, error) {
	s := c.settings.of(m.Route.Destination)
	var header, trailer metadata.MD
	a := &answer{limit: s.config.MaxMessageSize}
	err := c.call(ctx, m, gateway.MessageSyncChannel_ProcessMessage_FullMethodName, a,
		s.answerRoom, grpc.Header(&header), grpc.Trailer(&trailer))
	if err != nil {
		return nil, err
	}
	if a.excess > 0 {
		return nil, answered(m, flow.Errorf(flow.BadMessage, "%d bytes are over the limit of %d (%s)", a.excess, a.limit, s.sizeKey))
	}
	call := &flow.Call{Authority: m.Route.Destination, Metadata: metadata.Join(header, trailer)}
	reply, err := replyOf(m, &a.message, call)
	if err != nil {
		return nil, answered(m, err)
	}
	return reply, nil
}

// answered is what is wrong with the answer to m.
func answered(m *flow.Message, err error) error {
	return &flow.Error{
		Code: flow.CodeOf(err), Class: flow.Permanent,
		Err: fmt.Errorf("answer of %q: %w", m.Route.Destination, err),
	}
}
