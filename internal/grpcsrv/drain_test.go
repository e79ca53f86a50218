package grpcsrv_test

import (
	"context"
	"net"
	"strconv"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	healthgrpc "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"mqgateway/api/proto/gateway"
	"mqgateway/internal/flow"
	"mqgateway/internal/grpcsrv"
	"mqgateway/internal/mapping"
)

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
			another := s.another(t)
			waitTold(t, func() error { return call(another, "later") })
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
	ctx, client := within(t), healthgrpc.NewHealthClient(s.another(t).conn)
	for {
		answer, err := client.Check(ctx, &healthgrpc.HealthCheckRequest{})
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

// another is the same server with another client, which connects when it is used.
func (r *running) another(t *testing.T) *running {
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
