package grpcclient_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/testing/protocmp"

	"mqgateway/api/proto/gateway"
	"mqgateway/internal/flow"
	"mqgateway/internal/grpcclient"
	"mqgateway/internal/mapping"
	"mqgateway/test/ports"
)

func TestTheServiceGetsTheMessage(t *testing.T) {
	t.Parallel()
	var got *gateway.ProtoMessage
	s := serve(t, 0, func(ctx context.Context, p *gateway.ProtoMessage) (*gateway.Heartbeat, error) {
		got = p
		return heartbeat(ctx, p)
	})
	m := to("orders")
	m.CorrelID, m.Headers = "c-1", []flow.Header{{Name: "x-a", Value: int32(1)}}
	reply, err := open(t, mesh(s.port)).Async(within(t), m)
	if reply != nil || err != nil {
		t.Fatalf("Async = %v, %v, want nothing", reply, err)
	}
	want, err := mapping.ToProto(m)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
		t.Errorf("message (-want +got):\n%s", diff)
	}
}

func TestThousandsOfAuthoritiesOverOneConnection(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	seen := map[string]bool{} // guarded by mu
	s := serve(t, 0, func(ctx context.Context, p *gateway.ProtoMessage) (*gateway.Heartbeat, error) {
		mu.Lock()
		defer mu.Unlock()
		seen[metadata.ValueFromIncomingContext(ctx, ":authority")[0]] = true
		return heartbeat(ctx, p)
	})
	caller, ctx := open(t, mesh(s.port)), within(t)
	const authorities = 2000
	var workers sync.WaitGroup
	for w := range 16 {
		workers.Go(func() {
			for n := w; n < authorities; n += 16 {
				if _, err := caller.Async(ctx, to(fmt.Sprintf("service-%d:%d", n, 80+n%2))); err != nil {
					t.Errorf("call %d: %v", n, err)
					return
				}
			}
		})
	}
	workers.Wait()
	for n := range authorities {
		if name := fmt.Sprintf("service-%d:%d", n, 80+n%2); !seen[name] {
			t.Fatalf("authority %q did not arrive", name)
		}
	}
	if s.accepted.Load() != 1 {
		t.Errorf("%d connections, want one", s.accepted.Load())
	}
}

func TestSettingsOfAnAuthority(t *testing.T) {
	t.Parallel()
	type call struct {
		metadata string
		timeout  time.Duration
	}
	var got call
	s := serve(t, 0, func(ctx context.Context, p *gateway.ProtoMessage) (*gateway.Heartbeat, error) {
		deadline, _ := ctx.Deadline()
		got = call{strings.Join(metadata.ValueFromIncomingContext(ctx, "x-tenant"), ","), time.Until(deadline)}
		return heartbeat(ctx, p)
	})
	cfg := mesh(s.port)
	preset := cfg.Settings["default"]
	preset.Metadata = map[string]string{"X-Tenant": "all"}
	cfg.Settings["default"] = preset
	cfg.Settings["orders"] = grpcclient.SettingsConfig{Timeout: 5 * time.Minute, Metadata: map[string]string{"x-tenant": "orders"}}
	cfg.Settings["orders:81"] = grpcclient.SettingsConfig{Timeout: 10 * time.Minute}
	caller := open(t, cfg)
	for _, tt := range []struct {
		name, destination string
		expiry, left      time.Duration
		want              call
	}{
		{"the default", "billing", 0, time.Hour, call{"all", 30 * time.Second}},
		{"its own", "orders", 0, time.Hour, call{"orders", 5 * time.Minute}},
		{"of the host", "orders:80", 0, time.Hour, call{"orders", 5 * time.Minute}},
		{"of the host and port", "orders:81", 0, time.Hour, call{"all", 10 * time.Minute}},
		{"no longer than the message lives", "orders", 2 * time.Minute, time.Hour, call{"orders", 2 * time.Minute}},
		{"a message that lives longer", "orders", time.Hour, time.Hour, call{"orders", 5 * time.Minute}},
		{"no longer than the source waits", "orders", 0, 3 * time.Minute, call{"orders", 3 * time.Minute}},
	} {
		m := to(tt.destination)
		m.Expiry = tt.expiry
		ctx, cancel := context.WithTimeout(t.Context(), tt.left)
		if _, err := caller.Async(ctx, m); err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		cancel()
		if got.metadata != tt.want.metadata || got.timeout > tt.want.timeout || got.timeout < tt.want.timeout-25*time.Second {
			t.Errorf("%s: %+v, want %+v", tt.name, got, tt.want)
		}
	}
}

func TestMetadataOfTheContextStays(t *testing.T) {
	t.Parallel()
	var got []string
	s := serve(t, 0, func(ctx context.Context, p *gateway.ProtoMessage) (*gateway.Heartbeat, error) {
		got = metadata.ValueFromIncomingContext(ctx, "traceparent")
		return heartbeat(ctx, p)
	})
	cfg := mesh(s.port)
	preset := cfg.Settings["default"]
	preset.Metadata = map[string]string{"x-a": "1"}
	cfg.Settings["default"] = preset
	ctx := metadata.AppendToOutgoingContext(within(t), "traceparent", "00-1")
	if _, err := open(t, cfg).Async(ctx, to("orders")); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"00-1"}, got); diff != "" {
		t.Errorf("traceparent (-want +got):\n%s", diff)
	}
}

// TestAThousandCallsAtOnce holds that calls over what one connection takes do
// not wait for each other while more connections may be made.
func TestAThousandCallsAtOnce(t *testing.T) {
	t.Parallel()
	const calls = 1000
	var arrived sync.WaitGroup
	arrived.Add(500) // More than five connections of 100 take at once can't be one's.
	var once [calls]sync.Once
	finish := make(chan struct{})
	s := serve(t, 0, func(ctx context.Context, p *gateway.ProtoMessage) (*gateway.Heartbeat, error) {
		var n int
		_, _ = fmt.Sscan(p.GetMessageId(), &n) // The ids are numbers.
		if n < 500 {
			once[n].Do(arrived.Done)
		}
		select {
		case <-finish:
		case <-ctx.Done():
		}
		return heartbeat(ctx, p)
	}, grpc.MaxConcurrentStreams(100))
	caller, ctx := open(t, mesh(s.port)), within(t)
	var callers sync.WaitGroup
	call := func(n int) {
		m := to("orders")
		m.ID = fmt.Sprint(n)
		if _, err := caller.Async(ctx, m); err != nil {
			t.Errorf("call %d: %v", n, err)
		}
	}
	for n := range 500 {
		callers.Go(func() { call(n) })
	}
	arrived.Wait() // 500 calls are in hand at once.
	for n := 500; n < calls; n++ {
		callers.Go(func() { call(n) })
	}
	eventually(t, "the pool is full", func() bool { return s.accepted.Load() == 8 })
	close(finish)
	callers.Wait()
	if n := s.accepted.Load(); n != 8 {
		t.Errorf("%d connections, want 8", n)
	}
}

func TestAPoolOfAGivenSize(t *testing.T) {
	t.Parallel()
	var arrived sync.WaitGroup
	arrived.Add(3)
	s := serve(t, 0, func(ctx context.Context, p *gateway.ProtoMessage) (*gateway.Heartbeat, error) {
		arrived.Done()
		arrived.Wait()
		return heartbeat(ctx, p)
	})
	cfg := mesh(s.port)
	preset := cfg.Settings["default"]
	preset.Connections = 3
	cfg.Settings["default"] = preset
	caller, ctx := open(t, cfg), within(t)
	var callers sync.WaitGroup
	for range 3 {
		callers.Go(func() {
			if _, err := caller.Async(ctx, to("orders")); err != nil {
				t.Error(err)
			}
		})
	}
	callers.Wait()
	if n := s.accepted.Load(); n < 1 || n > 3 {
		t.Errorf("%d connections, want at most 3", n)
	}
}

func TestAServerThatClosesOldConnectionsLosesNoCall(t *testing.T) {
	t.Parallel()
	s := serve(t, 0, heartbeat, grpc.KeepaliveParams(keepalive.ServerParameters{MaxConnectionAge: 50 * time.Millisecond}))
	caller, ctx := open(t, mesh(s.port)), within(t)
	var callers sync.WaitGroup
	for range 8 {
		callers.Go(func() {
			for s.accepted.Load() < 6 {
				if _, err := caller.Async(ctx, to("orders")); err != nil {
					t.Errorf("after %d connections: %v", s.accepted.Load(), err)
					return
				}
			}
		})
	}
	callers.Wait()
}

func TestAServiceThatRestarts(t *testing.T) {
	t.Parallel()
	s := serve(t, ports.Free(), heartbeat)
	caller, ctx := open(t, mesh(s.port)), within(t)
	if _, err := caller.Async(ctx, to("orders")); err != nil {
		t.Fatal(err)
	}
	s.stop()
	eventually(t, "calls fail", func() bool {
		_, err := caller.Async(ctx, to("orders"))
		if err != nil && flow.ClassOf(err) != flow.Transient {
			t.Errorf("class = %d, want transient: %v", flow.ClassOf(err), err)
		}
		return err != nil
	})
	serve(t, s.port, heartbeat)
	eventually(t, "calls succeed again", func() bool {
		_, err := caller.Async(ctx, to("orders"))
		return err == nil
	})
}

func TestACallIsTimeThatTheMessageIsAway(t *testing.T) {
	t.Parallel()
	var inService time.Duration
	s := serve(t, 0, func(ctx context.Context, p *gateway.ProtoMessage) (*gateway.Heartbeat, error) {
		start := time.Now()
		defer func() { inService = time.Since(start) }()
		return heartbeat(ctx, p)
	})
	m := to("orders")
	if _, err := open(t, mesh(s.port)).Async(within(t), m); err != nil {
		t.Fatal(err)
	}
	if m.Away <= inService {
		t.Errorf("away for %v, want more than the %v in the service", m.Away, inService)
	}
}

// typical is a message of 1 KiB with the usual properties and four headers.
func typical() *flow.Message {
	m := to("orders")
	m.CorrelID, m.Persistence, m.ContentType = "c-1", flow.Persistent, "text/xml"
	m.Body = []byte(strings.Repeat("<a>text</a>", 93))
	for i := range 4 {
		m.Headers = append(m.Headers, flow.Header{Name: fmt.Sprintf("x-header-%d", i), Value: "value"})
	}
	return m
}

func BenchmarkAsync(b *testing.B) {
	s := serve(b, 0, heartbeat)
	caller, ctx := open(b, mesh(s.port)), b.Context()
	b.ReportAllocs()
	b.SetParallelism(32)
	b.RunParallel(func(pb *testing.PB) {
		m := typical()
		for pb.Next() {
			if _, err := caller.Async(ctx, m); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

// BenchmarkBareCall is the least that a call of the same message costs: the
// difference to BenchmarkAsync is ours.
func BenchmarkBareCall(b *testing.B) {
	s := serve(b, 0, heartbeat)
	conn := bareConn(b, s.port)
	client := gateway.NewMessageAsyncChannelClient(conn)
	p, err := mapping.ToProto(typical())
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.SetParallelism(32)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := client.ProcessMessage(b.Context(), p); err != nil {
				b.Error(err)
				return
			}
		}
	})
}
