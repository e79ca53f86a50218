package main

import (
	"context"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"mqgateway/api/proto/gateway"
)

// service is the microservice that consumers call.
type service struct {
	gateway.UnimplementedMessageAsyncChannelServer
	address string
	server  *grpc.Server
	// seen is told of each call.
	seen atomic.Pointer[func(context.Context, *gateway.ProtoMessage)]
}

// serve runs the service; close ends it.
func serve() (*service, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &service{address: listener.Addr().String(), server: grpc.NewServer()}
	gateway.RegisterMessageAsyncChannelServer(s.server, s)
	gateway.RegisterMessageSyncChannelServer(s.server, syncService{seen: &s.seen})
	go func() { _ = s.server.Serve(listener) }() // It ends by close only.
	return s, nil
}

func (s *service) close() { s.server.Stop() }

// observe tells seen of each call from now on.
func (s *service) observe(seen func(context.Context, *gateway.ProtoMessage)) { s.seen.Store(&seen) }

// ProcessMessage implements the asynchronous channel.
func (s *service) ProcessMessage(ctx context.Context, in *gateway.ProtoMessage) (*gateway.Heartbeat, error) {
	(*s.seen.Load())(ctx, in)
	return &gateway.Heartbeat{Timestamp: time.Now().UnixMilli(), MessageId: in.GetMessageId()}, nil
}

// syncService answers requests as service takes messages.
type syncService struct {
	gateway.UnimplementedMessageSyncChannelServer
	seen *atomic.Pointer[func(context.Context, *gateway.ProtoMessage)]
}

// ProcessMessage implements the synchronous channel. The answer has the body and
// the headers of the request.
func (s syncService) ProcessMessage(ctx context.Context, in *gateway.ProtoMessage) (*gateway.ProtoMessage, error) {
	(*s.seen.Load())(ctx, in)
	return &gateway.ProtoMessage{
		Body: in.GetBody(), UserHeaders: in.GetUserHeaders(),
		SystemHeaders: map[string]string{"ContentType": in.GetSystemHeaders()["ContentType"], "Priority": "4"},
	}, nil
}

// authorityOf is the name that the service was called by.
func authorityOf(ctx context.Context) string {
	values, _ := metadata.FromIncomingContext(ctx)
	if names := values.Get(":authority"); len(names) > 0 {
		return names[0]
	}
	return ""
}

// tally adds up what both sides have to have sent alike.
type tally struct{ calls, bodies, headers, strangers atomic.Int64 }

func (t *tally) add(ctx context.Context, in *gateway.ProtoMessage) {
	t.count(in)
	if authorityOf(ctx) != root {
		t.strangers.Add(1)
	}
}

// count is add for replies, which have no authority.
func (t *tally) count(m *gateway.ProtoMessage) {
	t.calls.Add(1)
	t.bodies.Add(int64(len(m.GetBody())))
	t.headers.Add(int64(len(m.GetSystemHeaders()) + len(m.GetUserHeaders())))
}

// check holds the sums against so many messages like the one that is expected.
func (t *tally) check(messages int, like *gateway.ProtoMessage) error {
	n := int64(messages)
	headers := int64(len(like.GetSystemHeaders()) + len(like.GetUserHeaders()))
	got := [...]int64{t.calls.Load(), t.bodies.Load(), t.headers.Load(), t.strangers.Load()}
	if want := [...]int64{n, n * int64(len(like.GetBody())), n * headers, 0}; got != want {
		return fmt.Errorf("messages, bytes of bodies, headers, calls by another name = %d, want %d", got, want)
	}
	return nil
}

// record keeps the calls themselves, up to a number of them.
type record struct {
	want int
	done chan struct{}

	mu   sync.Mutex // guards byID
	byID map[string]call
}

// call is one call of the service.
type call struct {
	metadata metadata.MD // :authority, content type and user agent among it
	deadline bool
	message  *gateway.ProtoMessage
}

func newRecord(want int) *record {
	return &record{want: want, done: make(chan struct{}), byID: map[string]call{}}
}

func (r *record) add(ctx context.Context, in *gateway.ProtoMessage) {
	r.mu.Lock()
	defer r.mu.Unlock()
	values, _ := metadata.FromIncomingContext(ctx)
	_, deadline := ctx.Deadline()
	r.byID[in.GetMessageId()] = call{values, deadline, in}
	if len(r.byID) == r.want {
		close(r.done)
	}
}
