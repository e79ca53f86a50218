package grpcclient_test

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"mqgateway/api/proto/gateway"
	"mqgateway/internal/flow"
	"mqgateway/internal/grpcclient"
)

func bareConn(t testing.TB, port int) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() }) // The test is over.
	return conn
}

func TestDirectCallsFindTheirService(t *testing.T) {
	t.Parallel()
	named := func(name string) handler {
		return func(_ context.Context, p *gateway.ProtoMessage) (*gateway.Heartbeat, error) {
			if p.GetMessageId() != name {
				return nil, fmt.Errorf("service %s got the message of %s", name, p.GetMessageId())
			}
			return &gateway.Heartbeat{}, nil
		}
	}
	own, set, preset := serve(t, 0, named("own")), serve(t, 0, named("set")), serve(t, 0, named("preset"))
	caller := open(t, grpcclient.Config{Routing: "direct", Settings: map[string]grpcclient.SettingsConfig{
		"default":   {Hostname: "nowhere.invalid", Port: preset.port},
		"localhost": {Port: set.port},
	}})
	for name, destination := range map[string]string{
		"own":    fmt.Sprintf("localhost:%d", own.port),
		"set":    "localhost",
		"preset": "127.0.0.1",
	} {
		m := to(destination)
		m.ID = name
		if _, err := caller.Async(within(t), m); err != nil {
			t.Errorf("%s: %v", destination, err)
		}
	}
}

func TestANameThatDoesNotResolve(t *testing.T) {
	t.Parallel()
	caller := open(t, grpcclient.Config{Routing: "direct"})
	_, err := caller.Async(within(t), to("nowhere.invalid"))
	if flow.CodeOf(err) != flow.DestinationFailed || flow.ClassOf(err) != flow.Transient || !strings.Contains(err.Error(), `calling "nowhere.invalid" at nowhere.invalid:5454`) {
		t.Errorf("error = %d %v, want 602 naming authority and address", flow.CodeOf(err), err)
	}
}

// TestTheOldestConnectionsAreClosed calls more authorities than are kept: all
// spellings of localhost. The call in hand at the oldest one lives on.
func TestTheOldestConnectionsAreClosed(t *testing.T) {
	t.Parallel()
	begun, finish := make(chan struct{}), make(chan struct{})
	s := serve(t, 0, func(ctx context.Context, p *gateway.ProtoMessage) (*gateway.Heartbeat, error) {
		if p.GetMessageId() == "slow" {
			close(begun)
			<-finish
		}
		return heartbeat(ctx, p)
	})
	caller, ctx := open(t, grpcclient.Config{
		Routing: "direct", Settings: map[string]grpcclient.SettingsConfig{"default": {Port: s.port}},
	}), within(t)
	answered := make(chan error, 1)
	go func() {
		m := to("localhost")
		m.ID = "slow"
		_, err := caller.Async(ctx, m)
		answered <- err
	}()
	<-begun
	const spellings, kept = 300, 256
	for n := 1; n <= spellings; n++ {
		if _, err := caller.Async(ctx, to(spelling(n))); err != nil {
			t.Fatalf("%s: %v", spelling(n), err)
		}
	}
	eventually(t, "the oldest connections are closed", func() bool { return s.open.Load() == kept })
	close(finish)
	if err := <-answered; err != nil {
		t.Errorf("the call in hand: %v", err)
	}
	before := s.accepted.Load()
	if before != spellings+1 {
		t.Errorf("%d connections were made, want %d", before, spellings+1)
	}
	if _, err := caller.Async(ctx, to(spelling(spellings))); err != nil || s.accepted.Load() != before {
		t.Errorf("the latest authority was connected again: %v", err)
	}
	if _, err := caller.Async(ctx, to(spelling(1))); err != nil || s.accepted.Load() != before+1 {
		t.Errorf("the oldest authority was not connected again: %v", err)
	}
}

// spelling is localhost with the letters of the bits of n in capitals.
func spelling(n int) string {
	name := []byte("localhost")
	for bit := range name {
		if n>>bit&1 == 1 {
			name[bit] -= 'a' - 'A'
		}
	}
	return string(name)
}
