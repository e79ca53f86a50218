package grpcclient

import (
	"context"
	"fmt"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"mqgateway/api/proto/gateway"
	"mqgateway/internal/flow"
)

// Sync hands m to MessageSyncChannel of its route's destination and returns the
// reply that [Options] made of the service's answer. Calls fail as those of
// [Caller.Async]. Once the service has answered every error is permanent, since
// it is not to be called again: an answer over the size limit, which is BadMessage
// as any message that is too large, and one of which no reply can be made.
func (c *Caller) Sync(ctx context.Context, m *flow.Message) (*flow.Message, error) {
	var header, trailer metadata.MD
	answer := new(gateway.ProtoMessage)
	err := c.call(ctx, m, gateway.MessageSyncChannel_ProcessMessage_FullMethodName, answer, grpc.Header(&header), grpc.Trailer(&trailer))
	if err != nil {
		return nil, c.unlessAnswered(m, header, err)
	}
	reply, err := c.options.Answer(m, answer, &flow.Call{
		Authority: m.Route.Destination, Metadata: metadata.Join(header, trailer),
	})
	if err != nil {
		return nil, answered(m, flow.CodeOf(err), err)
	}
	return reply, nil
}

// unlessAnswered takes the end of a call for an answer that is too large, where it
// is one. gRPC has one code for that and for a service short of something; but a
// service that refuses a request sends no headers before its status, and the
// status of an answer that is not read has no details.
func (c *Caller) unlessAnswered(m *flow.Message, header metadata.MD, err error) error {
	st := status.Convert(err)
	if header == nil || st.Code() != codes.ResourceExhausted || len(st.Details()) > 0 {
		return err
	}
	s := c.settings.of(m.Route.Destination)
	return answered(m, flow.BadMessage, fmt.Errorf("over the limit of %d bytes (%s): %w", s.config.MaxMessageSize, s.sizeKey, err))
}

// answered is what is wrong with the answer to m.
func answered(m *flow.Message, code flow.Code, err error) error {
	return &flow.Error{Code: code, Class: flow.Permanent, Err: fmt.Errorf("answer of %q: %w", m.Route.Destination, err)}
}
