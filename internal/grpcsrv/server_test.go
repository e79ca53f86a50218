package grpcsrv_test

import (
	"context"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"mqgateway/api/proto/gateway"
	"mqgateway/internal/field"
	"mqgateway/internal/flow"
	"mqgateway/internal/grpcsrv"
	"mqgateway/internal/mapping"
	"mqgateway/test/leaks"
)

func TestMain(m *testing.M) { os.Exit(leaks.Main(m)) }

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
