package gatewaytest

import (
	"context"
	"fmt"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	pb "mqgateway/api/proto/gateway"
	"mqgateway/test/ports"
)

// Service is a microservice that takes messages and answers requests, under any
// authority.
type Service struct {
	// Address is where it listens, as host:port.
	Address string
	server  *grpc.Server

	mu     sync.Mutex // guards all below
	calls  []Call
	fail   codes.Code            // what calls are answered with
	refuse map[string]codes.Code // by authority
	hold   chan struct{}         // calls wait for it
	answer func(*pb.ProtoMessage) *pb.ProtoMessage
}

// Call is one call that a service got.
type Call struct {
	Authority string
	Message   *pb.ProtoMessage
	// Sync tells that it came by MessageSyncChannel.
	Sync bool
	// At is when it came, Failed tells that it was to fail.
	At     time.Time
	Failed bool
}

// Serve runs a service until the test ends; address is empty for a free port, which
// stays free for another service when this one is stopped.
func Serve(t testing.TB, address string) *Service {
	t.Helper()
	if address == "" {
		address = fmt.Sprintf("127.0.0.1:%d", ports.Free())
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	s := &Service{Address: listener.Addr().String(), server: grpc.NewServer(), answer: echo}
	Register(s.server, s.handle)
	ended := make(chan struct{})
	go func() { defer close(ended); _ = s.server.Serve(listener) }()
	t.Cleanup(func() { s.Stop(); <-ended })
	return s
}

// Stop ends the service before the test does.
func (s *Service) Stop() { s.server.Stop() }

// handle answers a call.
func (s *Service) handle(ctx context.Context, in *pb.ProtoMessage, sync bool) (*pb.ProtoMessage, error) {
	answer, err := s.take(ctx, in, sync)
	if err != nil {
		return nil, err
	}
	return answer(in), nil
}

// take notes a call, waits and fails as the test wants it, and returns how it is
// answered.
func (s *Service) take(ctx context.Context, in *pb.ProtoMessage, sync bool) (answer func(*pb.ProtoMessage) *pb.ProtoMessage, err error) {
	headers, _ := metadata.FromIncomingContext(ctx)
	authority := headers.Get(":authority")[0]
	s.mu.Lock()
	fail, hold, answer := s.fail, s.hold, s.answer
	if fail == codes.OK {
		fail = s.refuse[authority]
	}
	s.calls = append(s.calls, Call{authority, in, sync, time.Now(), fail != codes.OK})
	s.mu.Unlock()
	if hold != nil {
		select {
		case <-hold:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if fail != codes.OK {
		return nil, status.Error(fail, "as the test wants it")
	}
	return answer, nil
}

// echo answers with the body of the request and nothing else.
func echo(in *pb.ProtoMessage) *pb.ProtoMessage { return &pb.ProtoMessage{Body: in.GetBody()} }

// Set makes calls wait until hold is closed, unless it is nil, and then fail,
// unless that is OK.
func (s *Service) Set(fail codes.Code, hold chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail, s.hold = fail, hold
}

// Refuse makes calls of one authority fail, unless code is OK.
func (s *Service) Refuse(authority string, code codes.Code) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refuse = map[string]codes.Code{authority: code}
}

// Answer makes answer the answer to requests; without it they are answered with
// their own body.
func (s *Service) Answer(answer func(*pb.ProtoMessage) *pb.ProtoMessage) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = answer
}

// Calls are the calls so far.
func (s *Service) Calls() []Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.calls)
}

// WaitCalls waits for n calls and returns all there are.
func (s *Service) WaitCalls(t testing.TB, n int) []Call {
	t.Helper()
	Eventually(t, func() error {
		if got := len(s.Calls()); got < n {
			return fmt.Errorf("%d calls, want %d", got, n)
		}
		return nil
	})
	return s.Calls()
}

// Port is the port that it listens on.
func (s *Service) Port() string {
	_, port, _ := net.SplitHostPort(s.Address)
	return port
}
