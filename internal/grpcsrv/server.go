package grpcsrv

import (
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
	Decode func(p *gateway.ProtoMessage, call *flow.Call) (*flow.Message, error)
	// Ready is what the health service says; nil is always ready.
	Ready func() bool
	// Unserved tells callers of a channel that is not served what serves it; empty
	// names mq.workMode.
	Unserved string
	// Grace bounds the time for calls in hand when the server stops; 0 is 30 s.
	Grace time.Duration
	// Log gets panics, which callers never see; nil drops them.
	Log *slog.Logger
}

// Server is the gRPC port of the gateway.
type Server struct {
	options  Options
	listener net.Listener
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
	s := &Server{options: withDefaults(options), listener: listener, stopping: make(chan struct{})}
	s.grpc = grpc.NewServer(s.serverOptions(cfg)...)
	s.register(cfg.Reflection)
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

// Run serves until ctx ends. Then health goes down, new calls are refused, and
// calls in hand may end within the grace; what is left is cancelled. It is
// called once.
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

func (s *Server) drain() {
	close(s.stopping)
	drained := make(chan struct{})
	go func() {
		s.grpc.GracefulStop()
		close(drained)
	}()
	timer := time.NewTimer(s.options.Grace)
	defer timer.Stop()
	select {
	case <-drained:
	case <-timer.C:
		s.grpc.Stop()
		<-drained
	}
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

// register adds the services that are served. What is not served is left to
// unserved, so that reflection does not list it.
func (s *Server) register(reflect bool) {
	if s.options.Async != nil {
		gateway.RegisterMessageAsyncChannelServer(s.grpc, asyncChannel{server: s})
	}
	if s.options.Sync != nil {
		gateway.RegisterMessageSyncChannelServer(s.grpc, syncChannel{server: s})
	}
	healthgrpc.RegisterHealthServer(s.grpc, &health{server: s})
	if reflect {
		reflection.Register(s.grpc)
	}
}

func (s *Server) serverOptions(cfg Config) []grpc.ServerOption {
	size := orDefault(int(cfg.MaxMessageSize), defaultMaxMessageSize)
	return []grpc.ServerOption{
		grpc.MaxRecvMsgSize(size),
		grpc.MaxSendMsgSize(size),
		grpc.MaxConcurrentStreams(orDefault(cfg.MaxConcurrentStreams, defaultMaxStreams)),
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
		grpc.UnknownServiceHandler(s.unserved),
	}
}

func withDefaults(options Options) Options {
	if options.Ready == nil {
		options.Ready = func() bool { return true }
	}
	if options.Unserved == "" {
		options.Unserved = "set mq.workMode to a mode that serves it"
	}
	if options.Log == nil {
		options.Log = slog.New(slog.DiscardHandler)
	}
	options.Grace = orDefault(options.Grace, defaultGrace)
	return options
}

func orDefault[T comparable](value, preset T) T {
	var unset T
	if value == unset {
		return preset
	}
	return value
}
