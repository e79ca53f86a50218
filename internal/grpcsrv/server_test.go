package grpcsrv_test

import (
	"context"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	healthgrpc "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"mqgateway/api/proto/gateway"
	"mqgateway/internal/field"
	"mqgateway/internal/flow"
	"mqgateway/internal/grpcsrv"
	"mqgateway/internal/mapping"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// running is a server with a client of it.
type running struct {
	*grpcsrv.Server
	conn *grpc.ClientConn
	// stop lets Run end and returns what it returned.
	stop func() error
	// cancel tells Run to end and does not wait.
	cancel context.CancelFunc
}

// start runs a server until the test ends.
func start(t *testing.T, cfg grpcsrv.Config, options grpcsrv.Options, dial ...grpc.DialOption) *running {
	t.Helper()
	options.Host = "127.0.0.1"
	if options.Decode == nil {
		options.Decode = mapping.NewOutbound(mapping.OutboundOptions{
			Role: flow.Provider, SendQueue: "out", NewID: func() string { return "made" },
		}).FromProto
	}
	server, err := grpcsrv.Open(cfg, options)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- server.Run(ctx) }()
	stop := sync.OnceValue(func() error { cancel(); return <-ended })
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	conn, err := grpc.NewClient("passthrough:///"+server.Addr(), append(dial, grpc.WithTransportCredentials(insecure.NewCredentials()))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() }) // The test is over.
	return &running{server, conn, stop, cancel}
}

func (r *running) async(ctx context.Context, p *gateway.ProtoMessage, options ...grpc.CallOption) (*gateway.Heartbeat, error) {
	return gateway.NewMessageAsyncChannelClient(r.conn).ProcessMessage(ctx, p, options...)
}

func (r *running) sync(ctx context.Context, p *gateway.ProtoMessage) (*gateway.ProtoMessage, error) {
	return gateway.NewMessageSyncChannelClient(r.conn).ProcessMessage(ctx, p)
}

// within bounds the calls of a test.
func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func done(context.Context, *flow.Message) (*flow.Message, error) { return nil, nil }

func TestThePortIsBusy(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	_, port, _ := net.SplitHostPort(taken.Addr().String())
	number, _ := strconv.Atoi(port)
	_, err = grpcsrv.Open(grpcsrv.Config{ServerPort: number}, grpcsrv.Options{Host: "127.0.0.1"})
	if err == nil || !strings.Contains(err.Error(), "gRPC port "+port+" (grpc.server.serverPort)") {
		t.Errorf("error = %v, want one that names port and key", err)
	}
}

func TestAServerThatNeverRuns(t *testing.T) {
	t.Parallel()
	server, err := grpcsrv.Open(grpcsrv.Config{}, grpcsrv.Options{Host: "127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := net.Listen("tcp", server.Addr())
	if err != nil {
		t.Fatalf("the port is not free: %v", err)
	}
	_ = again.Close() // The test is over.
}

func TestStoppingBeforeServing(t *testing.T) {
	t.Parallel()
	server, err := grpcsrv.Open(grpcsrv.Config{}, grpcsrv.Options{Host: "127.0.0.1", Async: done})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := server.Run(ctx); err != nil {
		t.Errorf("Run: %v", err)
	}
}

// TestDraining holds that calls in hand end well and that others are told why they
// are refused, on a connection that was there before and on a new one.
func TestDraining(t *testing.T) {
	t.Parallel()
	for _, channel := range []string{"async", "sync"} {
		t.Run(channel, func(t *testing.T) {
			t.Parallel()
			begun, finish := make(chan struct{}), make(chan struct{})
			handle := func(_ context.Context, m *flow.Message) (*flow.Message, error) {
				if m.ID == "in hand" {
					close(begun)
					<-finish
				}
				return &flow.Message{ID: "r-1"}, nil
			}
			s := start(t, grpcsrv.Config{}, grpcsrv.Options{Async: handle, Sync: handle, Grace: time.Hour})
			call := func(r *running, id string) error {
				if channel == "sync" {
					_, err := r.sync(within(t), &gateway.ProtoMessage{MessageId: id})
					return err
				}
				_, err := r.async(within(t), &gateway.ProtoMessage{MessageId: id})
				return err
			}
			inHand := make(chan error, 1)
			go func() { inHand <- call(s, "in hand") }()
			<-begun
			s.cancel()
			waitTold(t, func() error { return call(s, "later") })
			waitTold(t, func() error { return call(s.again(t), "later") })
			close(finish)
			if err := <-inHand; err != nil {
				t.Errorf("the call in hand: %v", err)
			}
			if err := s.stop(); err != nil {
				t.Errorf("Run: %v", err)
			}
			if err := call(s, "too late"); status.Code(err) != codes.Unavailable {
				t.Errorf("a call after the end: %v, want UNAVAILABLE", err)
			}
			if conn, err := net.Dial("tcp", s.Addr()); err == nil {
				_ = conn.Close() // It is the failure.
				t.Error("somebody still listens")
			}
		})
	}
}

func TestHealthDuringTheDrain(t *testing.T) {
	t.Parallel()
	begun, finish := make(chan struct{}), make(chan struct{})
	s := start(t, grpcsrv.Config{Reflection: true}, grpcsrv.Options{Grace: time.Hour, Async: func(context.Context, *flow.Message) (*flow.Message, error) {
		close(begun)
		<-finish
		return nil, nil
	}})
	inHand := make(chan error, 1)
	go func() {
		_, err := s.async(within(t), &gateway.ProtoMessage{})
		inHand <- err
	}()
	<-begun
	s.cancel()
	ctx := within(t)
	for {
		answer, err := healthgrpc.NewHealthClient(s.again(t).conn).Check(ctx, &healthgrpc.HealthCheckRequest{})
		if err == nil && answer.GetStatus() == notServing {
			break
		}
		if ctx.Err() != nil {
			t.Fatalf("health = %s, %v, want NOT_SERVING", answer.GetStatus(), err)
		}
	}
	close(finish)
	if err := <-inHand; err != nil {
		t.Errorf("the call in hand: %v", err)
	}
}

func TestTheGraceIsBounded(t *testing.T) {
	t.Parallel()
	begun := make(chan struct{})
	s := start(t, grpcsrv.Config{}, grpcsrv.Options{
		Grace: 50 * time.Millisecond,
		Async: func(ctx context.Context, _ *flow.Message) (*flow.Message, error) {
			close(begun)
			<-ctx.Done()
			return nil, ctx.Err()
		},
	})
	answered := make(chan error, 1)
	go func() {
		_, err := s.async(within(t), &gateway.ProtoMessage{})
		answered <- err
	}()
	<-begun
	if err := s.stop(); err != nil {
		t.Errorf("Run: %v", err)
	}
	if err := <-answered; status.Code(err) != codes.Unavailable && status.Code(err) != codes.Canceled {
		t.Errorf("the call that was cut: %v, want UNAVAILABLE or CANCELLED", err)
	}
}

// TestCallsDuringAStop holds that a call is handled or refused, never lost.
func TestCallsDuringAStop(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	handled := map[string]bool{} // guarded by mu
	s := start(t, grpcsrv.Config{}, grpcsrv.Options{Async: func(_ context.Context, m *flow.Message) (*flow.Message, error) {
		mu.Lock()
		defer mu.Unlock()
		handled[m.ID] = true
		return nil, nil
	}})
	ctx := within(t)
	var callers sync.WaitGroup
	warm := make(chan struct{}, 8) // One for each caller.
	for caller := range cap(warm) {
		callers.Go(func() {
			for n := 0; ; n++ {
				id := strconv.Itoa(caller) + "-" + strconv.Itoa(n)
				_, err := s.async(ctx, &gateway.ProtoMessage{MessageId: id})
				mu.Lock()
				ok := handled[id]
				mu.Unlock()
				switch {
				case err == nil && !ok:
					t.Errorf("call %s was answered and not handled", id)
				case err != nil && status.Code(err) != codes.Unavailable:
					t.Errorf("call %s: %v, want UNAVAILABLE", id, err)
				}
				if err != nil {
					return
				}
				if n == 5 {
					warm <- struct{}{}
				}
			}
		})
	}
	for range cap(warm) {
		<-warm
	}
	if err := s.stop(); err != nil {
		t.Errorf("Run: %v", err)
	}
	callers.Wait()
}

// again is the same server with a client of its own.
func (r *running) again(t *testing.T) *running {
	t.Helper()
	conn, err := grpc.NewClient("passthrough:///"+r.Addr(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() }) // The test is over.
	return &running{Server: r.Server, conn: conn}
}

// waitTold waits until a call is refused with the reason that the gateway stops.
// Until then calls may succeed or find the moment at which nobody serves.
func waitTold(t *testing.T, call func() error) {
	t.Helper()
	ctx := within(t)
	for {
		err := call()
		if code, ok := mapping.CodeOfStatus(status.Convert(err)); ok && code == flow.Overloaded && status.Code(err) == codes.Unavailable {
			return
		}
		if err != nil && status.Code(err) != codes.Unavailable {
			t.Fatalf("call during the drain: %v, want UNAVAILABLE", err)
		}
		if ctx.Err() != nil {
			t.Fatalf("calls end in %v, want 607", err)
		}
	}
}

func TestValidate(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		config grpcsrv.Config
		paths  string
	}{
		{"empty", grpcsrv.Config{}, ""},
		{"full", grpcsrv.Config{ServerPort: 65535, MaxMessageSize: 4 << 20, MaxConcurrentStreams: 1, Reflection: true}, ""},
		{"everything is wrong", grpcsrv.Config{
			ServerPort: 65536, MaxMessageSize: 1 << 31,
			Keepalive: grpcsrv.KeepaliveConfig{Time: -1, Timeout: -1, MinTime: -1, MaxConnectionAge: -1},
		}, "serverPort maxMessageSizeInMb keepalive.time keepalive.timeout keepalive.minTime keepalive.maxConnectionAge"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var paths []string
			for _, e := range field.All(tt.config.Validate()) {
				paths = append(paths, e.Path)
			}
			if got := strings.Join(paths, " "); got != tt.paths {
				t.Errorf("problems at %q, want %q", got, tt.paths)
			}
		})
	}
}
