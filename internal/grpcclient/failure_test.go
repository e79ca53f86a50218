package grpcclient_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"mqgateway/api/proto/gateway"
	"mqgateway/internal/field"
	"mqgateway/internal/flow"
	"mqgateway/internal/grpcclient"
	"mqgateway/internal/mapping"
)

func TestClassesOfStatuses(t *testing.T) {
	t.Parallel()
	for code, want := range map[codes.Code]flow.Class{
		codes.Canceled:           flow.Permanent,
		codes.Unknown:            flow.Permanent,
		codes.InvalidArgument:    flow.Permanent,
		codes.DeadlineExceeded:   flow.Transient,
		codes.NotFound:           flow.Permanent,
		codes.AlreadyExists:      flow.Permanent,
		codes.PermissionDenied:   flow.Permanent,
		codes.ResourceExhausted:  flow.Transient,
		codes.FailedPrecondition: flow.Permanent,
		codes.Aborted:            flow.Transient,
		codes.OutOfRange:         flow.Permanent,
		codes.Unimplemented:      flow.Permanent,
		codes.Internal:           flow.Permanent,
		codes.Unavailable:        flow.Transient,
		codes.DataLoss:           flow.Permanent,
		codes.Unauthenticated:    flow.Permanent,
	} {
		t.Run(code.String(), func(t *testing.T) {
			t.Parallel()
			s := serve(t, 0, func(context.Context, *gateway.ProtoMessage) (*gateway.Heartbeat, error) {
				return nil, status.Error(code, "its own words")
			})
			_, err := open(t, mesh(s.port)).Async(within(t), to("orders:80"))
			if flow.CodeOf(err) != flow.DestinationFailed || flow.ClassOf(err) != want {
				t.Errorf("error = %d of class %d, want 602 of class %d: %v", flow.CodeOf(err), flow.ClassOf(err), want, err)
			}
			for _, part := range []string{`calling "orders:80"`, fmt.Sprintf("at 127.0.0.1:%d", s.port), "its own words"} {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("error %q lacks %q", err, part)
				}
			}
			if told := strings.Contains(err.Error(), "the mesh does not know"); told != (code == codes.Unimplemented) {
				t.Errorf("error = %v", err)
			}
			var wrapped interface{ GRPCStatus() *status.Status }
			if !errors.As(err, &wrapped) || wrapped.GRPCStatus().Code() != code {
				t.Errorf("the gRPC status is not wrapped: %v", err)
			}
		})
	}
}

func TestClassesOfGatewayCodes(t *testing.T) {
	t.Parallel()
	for code, want := range map[flow.Code]flow.Class{
		flow.Internal: flow.Permanent, flow.RouteNotFound: flow.Permanent, flow.DestinationFailed: flow.Transient,
		flow.BrokerFailed: flow.Transient, flow.ValidationFailed: flow.Permanent, flow.ValidatorFailed: flow.Transient,
		flow.BadMessage: flow.Permanent, flow.Overloaded: flow.Transient, flow.ReplyTimeout: flow.Transient,
	} {
		t.Run(code.Name(), func(t *testing.T) {
			t.Parallel()
			// The status says the contrary of the code.
			grpcCode := codes.Unavailable
			if want == flow.Transient {
				grpcCode = codes.NotFound
			}
			s := serve(t, 0, func(context.Context, *gateway.ProtoMessage) (*gateway.Heartbeat, error) {
				st, err := status.New(grpcCode, "another gateway").WithDetails(mapping.ErrorInfo(code))
				if err != nil {
					return nil, err
				}
				return nil, st.Err()
			})
			_, err := open(t, mesh(s.port)).Async(within(t), to("orders"))
			if flow.CodeOf(err) != flow.DestinationFailed || flow.ClassOf(err) != want || !strings.Contains(err.Error(), code.Name()) {
				t.Errorf("error = %d of class %d, want 602 of class %d: %v", flow.CodeOf(err), flow.ClassOf(err), want, err)
			}
		})
	}
}

func TestNobodyListens(t *testing.T) {
	t.Parallel()
	listener, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	port := listener.Addr().(*net.TCPAddr).Port
	_ = listener.Close() // Nobody shall listen.
	_, err = open(t, mesh(port)).Async(within(t), to("orders"))
	if codeOf(err) != codes.Unavailable || flow.ClassOf(err) != flow.Transient {
		t.Errorf("error = %v, want UNAVAILABLE at once", err)
	}
}

func TestAMethodThatNobodyServes(t *testing.T) {
	t.Parallel()
	s := serve(t, 0, nil)
	_, err := open(t, mesh(s.port)).Async(within(t), to("orders"))
	if flow.ClassOf(err) != flow.Permanent || !strings.Contains(err.Error(), "the mesh does not know this authority") {
		t.Errorf("error = %v, want a permanent one that names the mesh", err)
	}
}

func TestTheTimeIsUp(t *testing.T) {
	t.Parallel()
	s := serve(t, 0, func(ctx context.Context, _ *gateway.ProtoMessage) (*gateway.Heartbeat, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	})
	cfg := mesh(s.port)
	cfg.Settings["orders"] = grpcclient.SettingsConfig{Timeout: 20 * time.Millisecond}
	caller := open(t, cfg)
	short := to("billing")
	short.Expiry = 20 * time.Millisecond
	for name, m := range map[string]*flow.Message{"timeout": to("orders"), "expiry": short} {
		_, err := caller.Async(within(t), m)
		if codeOf(err) != codes.DeadlineExceeded || flow.ClassOf(err) != flow.Transient {
			t.Errorf("%s: %v, want DEADLINE_EXCEEDED, transient", name, err)
		}
	}
}

func TestStoppingIsNoFailure(t *testing.T) {
	t.Parallel()
	begun := make(chan struct{})
	s := serve(t, 0, func(ctx context.Context, _ *gateway.ProtoMessage) (*gateway.Heartbeat, error) {
		begun <- struct{}{}
		<-ctx.Done()
		return nil, ctx.Err()
	})
	caller := open(t, mesh(s.port))
	ctx, cancel := context.WithCancel(within(t))
	for name, stop := range map[string]func(){
		"the source stops": cancel,
		"the caller is closed": func() {
			if err := caller.Close(); err != nil {
				t.Error(err)
			}
		},
	} {
		callCtx, caller := ctx, caller
		if name != "the source stops" {
			callCtx = within(t)
		} else {
			caller = open(t, mesh(s.port))
		}
		go func() {
			<-begun
			stop()
		}()
		if _, err := caller.Async(callCtx, to("orders")); flow.ClassOf(err) != flow.Stopping {
			t.Errorf("%s: class %d, want stopping: %v", name, flow.ClassOf(err), err)
		}
	}
	if _, err := caller.Async(within(t), to("orders")); flow.ClassOf(err) != flow.Stopping {
		t.Errorf("a call after Close: class %d, want stopping: %v", flow.ClassOf(err), err)
	}
	direct, err := grpcclient.Open(grpcclient.Config{Routing: "direct"})
	if err != nil {
		t.Fatal(err)
	}
	if err := direct.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := direct.Async(within(t), to("localhost")); flow.ClassOf(err) != flow.Stopping {
		t.Errorf("a direct call after Close: class %d, want stopping: %v", flow.ClassOf(err), err)
	}
}

func TestRequestsOverTheLimitAreNeverSent(t *testing.T) {
	t.Parallel()
	s := serve(t, 0, heartbeat, grpc.MaxRecvMsgSize(64<<20))
	cfg := mesh(s.port)
	cfg.Settings["small"] = grpcclient.SettingsConfig{MaxMessageSize: 1000}
	cfg.Settings["like-default"] = grpcclient.SettingsConfig{Timeout: time.Second}
	caller := open(t, cfg)
	large := func(destination string, size int) *flow.Message {
		m := to(destination)
		m.Body = []byte(strings.Repeat("x", size))
		return m
	}
	for destination, want := range map[string]string{
		"small":        "1000 (grpc.client.settings.small.maxMessageSizeInMb)",
		"other":        "4194304 (grpc.client.settings.default.maxMessageSizeInMb)",
		"like-default": "4194304 (grpc.client.settings.default.maxMessageSizeInMb)",
	} {
		_, err := caller.Async(within(t), large(destination, 5<<20))
		if flow.CodeOf(err) != flow.BadMessage || flow.ClassOf(err) != flow.Permanent || !strings.Contains(err.Error(), "is over the limit of "+want) {
			t.Errorf("%s: %d %v, want 606 with %q", destination, flow.CodeOf(err), err, want)
		}
	}
	if s.accepted.Load() != 0 {
		t.Error("the service was connected")
	}
	if _, err := caller.Async(within(t), large("other", 4<<20-1000)); err != nil {
		t.Errorf("a request within the limit: %v", err)
	}
}

// TestAServiceWithALowerLimit: RESOURCE_EXHAUSTED means the size where the
// request is larger than services take by default.
func TestAServiceWithALowerLimit(t *testing.T) {
	t.Parallel()
	s := serve(t, 0, heartbeat)
	cfg := mesh(s.port)
	cfg.Settings["orders"] = grpcclient.SettingsConfig{MaxMessageSize: 16 << 20}
	m := to("orders")
	m.Body = []byte(strings.Repeat("x", 5<<20))
	_, err := open(t, cfg).Async(within(t), m)
	if flow.ClassOf(err) != flow.Permanent || !strings.Contains(err.Error(), "is over the 4194304 that services take") {
		t.Errorf("error = %v, want a permanent one naming the sizes", err)
	}
}

func TestMessagesThatCannotBeCalledWith(t *testing.T) {
	t.Parallel()
	caller := open(t, mesh(1))
	if _, err := caller.Async(within(t), to("")); flow.CodeOf(err) != flow.Internal {
		t.Errorf("no destination: %v, want 600", err)
	}
	m := to("orders")
	m.Body = []byte("\xFF")
	if _, err := caller.Async(within(t), m); flow.CodeOf(err) != flow.BadMessage {
		t.Errorf("not UTF-8: %v, want 606", err)
	}
}

func TestValidate(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		config grpcclient.Config
		paths  string
	}{
		{"empty", grpcclient.Config{}, ""},
		{"full", grpcclient.Config{Routing: "direct", Settings: map[string]grpcclient.SettingsConfig{
			"default": {
				Hostname: "[::1]", Port: 80, Timeout: time.Second, Connections: 8, MaxMessageSize: 1 << 20,
				Keepalive: grpcclient.KeepaliveConfig{Time: 10 * time.Second, Timeout: time.Second},
				Metadata:  map[string]string{"X-Tenant": "a b", "x-name-bin": "Да"},
			},
		}}, ""},
		{"everything is wrong", grpcclient.Config{Routing: "xds", Settings: map[string]grpcclient.SettingsConfig{
			"orders": {
				Hostname: "host:80", Port: -1, Timeout: -1, Connections: 65, MaxMessageSize: -1,
				Keepalive: grpcclient.KeepaliveConfig{Time: time.Second, Timeout: -1},
				Metadata:  map[string]string{"": "", ":path": "x", "grpc-timeout": "1S", "x-name": "Да"},
			},
		}}, "routing settings.orders.hostname settings.orders.port settings.orders.timeout settings.orders.connections " +
			"settings.orders.maxMessageSizeInMb settings.orders.keepalive.time settings.orders.keepalive.timeout " +
			"settings.orders.metadata. settings.orders.metadata.:path settings.orders.metadata.grpc-timeout settings.orders.metadata.x-name"},
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

// codeOf is the code of the gRPC status that err wraps.
func codeOf(err error) codes.Code { return status.Convert(err).Code() }
