package grpcsrv

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"time"

	"google.golang.org/grpc"
	healthgrpc "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"

	"mqgateway/api/proto/gateway"
	"mqgateway/internal/flow"
)

// What a Config or Options that leaves a field at 0 gets.
const (
	defaultMaxMessageSize = 4 << 20
	defaultMaxStreams     = 1000
	defaultGrace          = 30 * time.Second
)

// Options are what a server needs beside its configuration.
type Options struct {
	// Host is the address to listen at; empty is every address of the machine.
	Host string
	// Async handles the messages of MessageAsyncChannel; nil does not serve it.
	Async flow.Handler
	// Sync handles the requests of MessageSyncChannel and returns their replies;
	// nil does not serve it.
	Sync flow.Handler
	// Decode makes the message of a call. It has to be set where a channel is served.
	Decode Decoder
	// DecodeSync makes the request of a call of MessageSyncChannel; nil is Decode.
	DecodeSync Decoder
	// Ready is what the health service says; nil is always ready.
	Ready func() bool
	// Grace bounds the time for calls in hand when the server stops; 0 is 30 s.
	Grace time.Duration
	// Log gets panics, which callers never see; nil drops them.
	Log *slog.Logger
}

// Decoder makes the message of what a call carried. Its errors say what is wrong
// with the call.
type Decoder func(p *gateway.ProtoMessage, call *flow.Call) (*flow.Message, error)

// Server is the gRPC port of the gateway.
type Server struct {
	config   Config
	options  Options
	listener *net.TCPListener
	grpc     *grpc.Server
	// stopping is closed when the server takes no more calls.
	stopping chan struct{}
}

// Open listens; Run has to be called to serve, or Close.
func Open(cfg Config, options Options) (*Server, error) {
	listener, err := net.Listen("tcp", net.JoinHostPort(options.Host, strconv.Itoa(cfg.ServerPort)))
	if err != nil {
		return nil, fmt.Errorf("opening the gRPC port %d (grpc.server.serverPort): %w", cfg.ServerPort, err)
	}
	cfg.MaxMessageSize = cmp.Or(cfg.MaxMessageSize, defaultMaxMessageSize)
	s := &Server{
		config: cfg, options: withDefaults(options),
		listener: listener.(*net.TCPListener), stopping: make(chan struct{}),
	}
	s.grpc = s.newGRPC()
	return s, nil
}

// Addr is where the server listens, as host:port.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// Close ends a server at once. It is meant for one that never runs; after Run
// it does nothing.
func (s *Server) Close() error {
	s.grpc.Stop()
	_ = s.listener.Close() // Stop closed it already when Run was called.
	return nil
}

// Run serves until ctx ends. Then health goes down, new calls are refused with
// code Overloaded, and calls in hand may end within the grace; what is left is
// cancelled. It is called once.
func (s *Server) Run(ctx context.Context) error {
	served := make(chan error, 1) // One result; nobody may be waiting yet.
	go func() { served <- s.grpc.Serve(s.listener) }()
	select {
	case err := <-served:
		return fmt.Errorf("serving gRPC on %s: %w", s.Addr(), err)
	case <-ctx.Done():
	}
	s.drain()
	if err := <-served; err != nil && !errors.Is(err, grpc.ErrServerStopped) {
		return fmt.Errorf("serving gRPC on %s: %w", s.Addr(), err)
	}
	return nil
}

// isStopping tells that new calls are refused.
func (s *Server) isStopping() bool {
	select {
	case <-s.stopping:
		return true
	default:
		return false
	}
}

// newGRPC makes a server with the services that are served. What is not served is
// left to unserved, so that reflection does not list it.
func (s *Server) newGRPC() *grpc.Server {
	g := grpc.NewServer(s.serverOptions()...)
	if s.options.Async != nil {
		gateway.RegisterMessageAsyncChannelServer(g, asyncChannel{server: s})
	}
	if s.options.Sync != nil {
		g.RegisterService(&syncService, syncChannel{server: s})
	}
	healthgrpc.RegisterHealthServer(g, &health{server: s})
	if s.config.Reflection {
		reflection.Register(g)
	}
	return g
}

func (s *Server) serverOptions() []grpc.ServerOption {
	cfg, size := s.config, int(s.config.MaxMessageSize)
	return []grpc.ServerOption{
		grpc.ForceServerCodecV2(protobuf),
		grpc.MaxRecvMsgSize(size),
		grpc.MaxSendMsgSize(size),
		grpc.MaxConcurrentStreams(cmp.Or(cfg.MaxConcurrentStreams, defaultMaxStreams)),
		grpc.KeepaliveParams(keepalive.ServerParameters{
			Time:             cfg.Keepalive.Time,
			Timeout:          cfg.Keepalive.Timeout,
			MaxConnectionAge: cfg.Keepalive.MaxConnectionAge,
		}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{
			MinTime:             cfg.Keepalive.MinTime,
			PermitWithoutStream: true,
		}),
		grpc.WaitForHandlers(true),
		grpc.UnknownServiceHandler(unserved),
	}
}

func withDefaults(options Options) Options {
	if options.Ready == nil {
		options.Ready = func() bool { return true }
	}
	if options.DecodeSync == nil {
		options.DecodeSync = options.Decode
	}
	if options.Log == nil {
		options.Log = slog.New(slog.DiscardHandler)
	}
	options.Grace = cmp.Or(options.Grace, defaultGrace)
	return options
}
