package faults

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	pb "mqgateway/api/proto/gateway"
	"mqgateway/test/gatewaytest"
	"mqgateway/test/ports"
)

// service is the microservice of a consumer gateway, under any authority. It can be
// killed, started again, and frozen.
type service struct {
	address string
	// met is told of each message that is handled, just before the answer.
	met func(in *pb.ProtoMessage)
	// answer makes the answer to a request.
	answer func(in *pb.ProtoMessage) *pb.ProtoMessage

	mu      sync.Mutex // guards all below
	server  *grpc.Server
	ended   chan struct{}
	frozen  chan struct{} // calls wait for it; nil when it is not frozen
	pause   [2]time.Duration
	refuse  map[string]codes.Code // by authority
	handled map[string]int        // calls that ended well, by authority
	inHand  int                   // calls that have not ended
}

func startService(t *testing.T, met func(*pb.ProtoMessage)) *service {
	t.Helper()
	s := &service{address: fmt.Sprintf("127.0.0.1:%d", ports.Free()), met: met, answer: echo, refuse: map[string]codes.Code{}, handled: map[string]int{}}
	s.start(t)
	t.Cleanup(s.kill)
	return s
}

// start listens, on the same address as before.
func (s *service) start(t *testing.T) {
	t.Helper()
	listener, err := net.Listen("tcp", s.address)
	if err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.server, s.ended = grpc.NewServer(), make(chan struct{})
	gatewaytest.Register(s.server, s.handle)
	go func(server *grpc.Server, ended chan struct{}) { defer close(ended); _ = server.Serve(listener) }(s.server, s.ended)
}

// kill drops all connections and calls at once.
func (s *service) kill() {
	s.thaw()
	s.mu.Lock()
	server, ended := s.server, s.ended
	s.mu.Unlock()
	server.Stop()
	<-ended
}

// freeze lets all calls wait until thaw.
func (s *service) freeze() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.frozen == nil {
		s.frozen = make(chan struct{})
	}
}

func (s *service) thaw() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.frozen != nil {
		close(s.frozen)
	}
	s.frozen = nil
}

// takes between least and most for each call.
func (s *service) takes(least, most time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pause = [2]time.Duration{least, most}
}

// fail answers calls under an authority with a code; OK ends that.
func (s *service) fail(authority string, code codes.Code) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refuse[authority] = code
}

// handledBy counts the calls under an authority that ended well.
func (s *service) handledBy(authority string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.handled[authority]
}

// callsInHand counts the calls that have not ended.
func (s *service) callsInHand() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.inHand
}

// handle does what a call asks for.
func (s *service) handle(ctx context.Context, in *pb.ProtoMessage, _ bool) (*pb.ProtoMessage, error) {
	headers, _ := metadata.FromIncomingContext(ctx)
	authority := headers.Get(":authority")[0]
	s.mu.Lock()
	frozen, pause, code := s.frozen, s.pause, s.refuse[authority]
	s.inHand++
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.inHand--
	}()
	if code != codes.OK {
		return nil, status.Error(code, "as the test wants it")
	}
	if frozen != nil {
		select {
		case <-frozen:
		case <-ctx.Done():
		}
	}
	if err := wait(ctx, between(pause[0], pause[1])); err != nil {
		return nil, err
	}
	s.met(in)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.handled[authority]++
	return s.answer(in), nil
}

// between is a random time.
func between(least, most time.Duration) time.Duration {
	if most <= least {
		return least
	}
	return least + rand.N(most-least)
}

// wait lets time pass, or returns why ctx ended.
func wait(ctx context.Context, pause time.Duration) error {
	rest, cancel := context.WithTimeout(ctx, pause)
	defer cancel()
	<-rest.Done()
	return ctx.Err()
}

// echo answers with the body of the request.
func echo(in *pb.ProtoMessage) *pb.ProtoMessage { return &pb.ProtoMessage{Body: in.GetBody()} }
