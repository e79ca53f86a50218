package e2e

import (
	"context"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	pb "mqgateway/api/proto/gateway"
	"mqgateway/test/rabbittest"
)

// service is a foreign microservice: it takes calls under any authority.
type service struct {
	pb.UnimplementedMessageAsyncChannelServer
	address string
	server  *grpc.Server

	mu    sync.Mutex // guards all below
	calls []call
	fail  codes.Code    // what calls are answered with
	hold  chan struct{} // calls wait for it
}

// call is one call that a service got.
type call struct {
	authority string
	message   *pb.ProtoMessage
}

// serve runs a service until the test ends; address is empty for a free port.
func serve(t *testing.T, address string) *service {
	t.Helper()
	if address == "" {
		address = "127.0.0.1:0"
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	s := &service{address: listener.Addr().String(), server: grpc.NewServer()}
	pb.RegisterMessageAsyncChannelServer(s.server, s)
	ended := make(chan struct{})
	go func() { defer close(ended); _ = s.server.Serve(listener) }()
	t.Cleanup(func() { s.server.Stop(); <-ended })
	return s
}

func (s *service) ProcessMessage(ctx context.Context, in *pb.ProtoMessage) (*pb.Heartbeat, error) {
	headers, _ := metadata.FromIncomingContext(ctx)
	s.mu.Lock()
	s.calls = append(s.calls, call{headers.Get(":authority")[0], in})
	fail, hold := s.fail, s.hold
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
	return &pb.Heartbeat{Timestamp: time.Now().UnixMilli(), MessageId: in.GetMessageId()}, nil
}

func (s *service) set(fail codes.Code, hold chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail, s.hold = fail, hold
}

func (s *service) got() []call {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]call(nil), s.calls...)
}

// waitCalls waits for n calls and returns all there are.
func (s *service) waitCalls(t *testing.T, n int) []call {
	t.Helper()
	eventually(t, func() error {
		if got := len(s.got()); got < n {
			return fmt.Errorf("%d calls, want %d", got, n)
		}
		return nil
	})
	return s.got()
}

// port is where the service listens.
func (s *service) port() string {
	_, port, _ := net.SplitHostPort(s.address)
	return port
}

// partner is a foreign program on the broker.
type partner struct {
	t       *testing.T
	vhost   *rabbittest.VHost
	channel *amqp.Channel
}

// newPartner connects to a virtual host and declares durable queues.
func newPartner(t *testing.T, vhost *rabbittest.VHost, queues ...string) *partner {
	t.Helper()
	p := &partner{t: t, vhost: vhost, channel: vhost.Channel(t)}
	for _, q := range queues {
		if _, err := p.channel.QueueDeclare(q, true, false, false, false, nil); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

// put sends a message to a queue.
func (p *partner) put(queue string, m amqp.Publishing) {
	p.t.Helper()
	m.DeliveryMode = amqp.Persistent
	if err := p.channel.PublishWithContext(p.t.Context(), "", queue, true, false, m); err != nil {
		p.t.Fatal(err)
	}
}

// take waits for a message of a queue and acknowledges it.
func (p *partner) take(queue string) amqp.Delivery {
	p.t.Helper()
	var taken amqp.Delivery
	eventually(p.t, func() error {
		if p.vhost.Messages(p.t, queue) <= 0 {
			return fmt.Errorf("nothing in %q", queue)
		}
		d, ok, err := p.channel.Get(queue, true)
		if err != nil {
			p.t.Fatal(err)
		}
		if !ok {
			return fmt.Errorf("nothing in %q", queue)
		}
		taken = d
		return nil
	})
	return taken
}

// waitEmpty waits until a queue has no messages, unsettled ones counted.
func (p *partner) waitEmpty(queue string) {
	p.t.Helper()
	eventually(p.t, func() error {
		if n := p.vhost.Messages(p.t, queue); n != 0 {
			return fmt.Errorf("%d messages in %q, want 0", n, queue)
		}
		return nil
	})
}

// dial connects to the gateway's gRPC port.
func dial(t *testing.T, g *gateway) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(g.GRPC, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// client is a foreign microservice's client of the gateway.
func client(t *testing.T, g *gateway) pb.MessageAsyncChannelClient {
	t.Helper()
	return pb.NewMessageAsyncChannelClient(dial(t, g))
}
