package grpcsrv

import (
	"cmp"
	"context"
	"fmt"
	"runtime/debug"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"mqgateway/api/proto/gateway"
	"mqgateway/internal/flow"
	"mqgateway/internal/mapping"
)

// asyncChannel serves MessageAsyncChannel.
type asyncChannel struct {
	gateway.UnsafeMessageAsyncChannelServer
	server *Server
}

// ProcessMessage answers once the handler has made the message safe.
func (c asyncChannel) ProcessMessage(ctx context.Context, p *gateway.ProtoMessage) (*gateway.Heartbeat, error) {
	m, _, err := c.server.handle(ctx, c.server.options.Decode, c.server.options.Async, p)
	if err != nil {
		return nil, toStatus(ctx, err)
	}
	return &gateway.Heartbeat{Timestamp: time.Now().UnixMilli(), MessageId: m.ID}, nil
}

// syncChannel serves MessageSyncChannel.
type syncChannel struct{ server *Server }

// processMessage answers with the reply of the handler, which may have no body.
func (c syncChannel) processMessage(ctx context.Context, p *gateway.ProtoMessage) (any, error) {
	work, cancel := beforeDeadline(ctx)
	defer cancel()
	_, reply, err := c.server.handle(work, c.server.options.DecodeSync, c.server.options.Sync, p)
	if err == nil && reply == nil {
		err = flow.Errorf(flow.Internal, "handler of a request returned no reply")
	}
	if err != nil {
		return nil, toStatus(ctx, err)
	}
	answer, err := c.server.config.answer(reply)
	if err != nil {
		return nil, toStatus(ctx, err)
	}
	return answer, nil
}

// timeToTell is how long before the caller's deadline the wait for a reply ends, but
// no more than a tenth of the time. At the deadline grpc-go resets the stream, and
// nobody would hear why there is no reply; nor could its end be told from a caller
// that is gone.
const timeToTell = 20 * time.Millisecond

// beforeDeadline is a context that ends while the caller still listens.
func beforeDeadline(ctx context.Context) (context.Context, context.CancelFunc) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return ctx, func() {}
	}
	return context.WithDeadline(ctx, deadline.Add(-min(timeToTell, time.Until(deadline)/10)))
}

// roomForHeaders is what most replies need beside their body.
const roomForHeaders = 1 << 10

// answer encodes the answer of a reply. One over the limit is refused here, with a
// code that tells callers not to ask again: grpc-go would call it RESOURCE_EXHAUSTED.
func (c Config) answer(reply *flow.Message) (encoded, error) {
	pool := mem.DefaultBufferPool()
	space := pool.Get(len(reply.Body) + roomForHeaders)
	out, err := mapping.AppendProto((*space)[:0], reply)
	if err != nil {
		pool.Put(space)
		return encoded{}, fmt.Errorf("reply %q: %w", reply.ID, err)
	}
	*space = out
	if size, limit := int64(len(out)), cmp.Or(c.MaxMessageSize, defaultMaxMessageSize); size > limit {
		pool.Put(space)
		return encoded{}, flow.Errorf(flow.BadMessage, "reply %q: %d bytes are over the limit of %d (grpc.server.maxMessageSizeInMb)", reply.ID, size, limit)
	}
	return encoded{mem.NewBuffer(space, pool)}, nil
}

// Mappable is middleware for replies on their way to synchronous calls: it refuses
// one that no answer can be made of, while it can still be kept.
func (c Config) Mappable(next flow.Handler) flow.Handler {
	return func(ctx context.Context, reply *flow.Message) (*flow.Message, error) {
		answer, err := c.answer(reply)
		if err != nil {
			return nil, err
		}
		answer.Free()
		return next(ctx, reply)
	}
}

// handle passes the message of a call to the handler and returns both. A panic
// on the way costs this call only.
func (s *Server) handle(ctx context.Context, decode Decoder, handler flow.Handler, p *gateway.ProtoMessage) (m, reply *flow.Message, err error) {
	if s.isStopping() {
		return nil, nil, flow.Errorf(flow.Overloaded, "gateway is stopping").WithClass(flow.Stopping)
	}
	defer func() {
		if cause := recover(); cause != nil {
			s.options.Log.ErrorContext(ctx, "panic in a call", "err", cause, "stack", string(debug.Stack()))
			err = flow.Errorf(flow.Internal, "panic: %v", cause)
		}
	}()
	m, err = decode(p, callOf(ctx))
	if err != nil {
		return nil, nil, err
	}
	reply, err = handler(ctx, m)
	return m, reply, err
}

// callOf is what the call carried beside the message.
func callOf(ctx context.Context) *flow.Call {
	values, _ := metadata.FromIncomingContext(ctx)
	call := &flow.Call{Metadata: values}
	call.Authority = call.Value(":authority")
	return call
}

// unserved answers calls of methods that nothing is registered for.
func unserved(_ any, stream grpc.ServerStream) error {
	method, _ := grpc.MethodFromServerStream(stream)
	switch method {
	case gateway.MessageAsyncChannel_ProcessMessage_FullMethodName, gateway.MessageSyncChannel_ProcessMessage_FullMethodName:
		return status.Errorf(codes.Unimplemented, "%s is not served by this gateway: set mq.workMode to a mode that serves it", method)
	default:
		return status.Errorf(codes.Unimplemented, "method %q is not known", method)
	}
}
