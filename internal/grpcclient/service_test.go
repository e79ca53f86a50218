package grpcclient_test

import (
	"context"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/stats"

	"mqgateway/api/proto/gateway"
	"mqgateway/internal/flow"
	"mqgateway/internal/grpcclient"
	"mqgateway/test/leaks"
)

func TestMain(m *testing.M) { os.Exit(leaks.Main(m)) }

// handler is what a service does with a message.
type handler func(ctx context.Context, p *gateway.ProtoMessage) (*gateway.Heartbeat, error)

// answerer is what a service answers to a request.
type answerer func(ctx context.Context, p *gateway.ProtoMessage) (*gateway.ProtoMessage, error)

// syncChannel is the sync half of a service.
type syncChannel struct {
	gateway.UnimplementedMessageSyncChannelServer
	answer answerer
}

func (c syncChannel) ProcessMessage(ctx context.Context, p *gateway.ProtoMessage) (*gateway.ProtoMessage, error) {
	return c.answer(ctx, p)
}

// service is a foreign microservice.
type service struct {
	gateway.UnimplementedMessageAsyncChannelServer
	handle handler
	// port that it listens on, at 127.0.0.1.
	port int
	// accepted and open count connections.
	accepted, open atomic.Int64
	stop           func()
}

func (s *service) ProcessMessage(ctx context.Context, p *gateway.ProtoMessage) (*gateway.Heartbeat, error) {
	return s.handle(ctx, p)
}

func (*service) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context   { return ctx }
func (*service) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }
func (*service) HandleRPC(context.Context, stats.RPCStats)                         {}
func (s *service) HandleConn(_ context.Context, c stats.ConnStats) {
	switch c.(type) {
	case *stats.ConnBegin:
		s.accepted.Add(1)
		s.open.Add(1)
	case *stats.ConnEnd:
		s.open.Add(-1)
	}
}

// serve runs a service on a port, 0 for a free one, until the test ends; without
// a handler the method is not there.
func serve(t testing.TB, port int, handle handler, options ...grpc.ServerOption) *service {
	t.Helper()
	return serveChannels(t, port, handle, nil, options...)
}

// serveSync runs a service that answers requests.
func serveSync(t testing.TB, answer answerer, options ...grpc.ServerOption) *service {
	t.Helper()
	return serveChannels(t, 0, nil, answer, options...)
}

func serveChannels(t testing.TB, port int, handle handler, answer answerer, options ...grpc.ServerOption) *service {
	t.Helper()
	listener, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port})
	if err != nil {
		t.Fatal(err)
	}
	s := &service{handle: handle, port: listener.Addr().(*net.TCPAddr).Port}
	server := grpc.NewServer(append(options, grpc.StatsHandler(s), grpc.WaitForHandlers(true))...)
	if handle != nil {
		gateway.RegisterMessageAsyncChannelServer(server, s)
	}
	if answer != nil {
		gateway.RegisterMessageSyncChannelServer(server, syncChannel{answer: answer})
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	s.stop = sync.OnceFunc(func() {
		server.Stop()
		if err := <-served; err != nil {
			t.Errorf("serving: %v", err)
		}
	})
	t.Cleanup(s.stop)
	return s
}

func heartbeat(_ context.Context, p *gateway.ProtoMessage) (*gateway.Heartbeat, error) {
	return &gateway.Heartbeat{MessageId: p.GetMessageId(), Timestamp: time.Now().UnixMilli()}, nil
}

// mesh is the configuration of a caller that goes through one address.
func mesh(port int) grpcclient.Config {
	return grpcclient.Config{Settings: map[string]grpcclient.SettingsConfig{"default": {Hostname: "127.0.0.1", Port: port}}}
}

func open(t testing.TB, cfg grpcclient.Config) *grpcclient.Caller {
	t.Helper()
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	caller, err := grpcclient.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := caller.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return caller
}

// to is a message for a destination.
func to(destination string) *flow.Message {
	return &flow.Message{ID: "m-1", Body: []byte("<a/>"), Route: flow.Route{Name: "default", Destination: destination}}
}

// within bounds the calls of a test.
func within(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// eventually polls until the condition holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	ctx := within(t)
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for !holds() {
		select {
		case <-ctx.Done():
			t.Fatalf("it never came that %s", what)
		case <-ticker.C:
		}
	}
}
