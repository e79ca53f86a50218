package main

import (
	"context"
	"fmt"
	"net"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	"mqgateway/api/proto/gateway"
	"mqgateway/internal/flow"
	"mqgateway/internal/mq"
	"mqgateway/internal/mq/jetstream"
	"mqgateway/internal/secret"
)

// demoService is the sample microservice: it stands for every service of a
// mesh, takes calls under any authority, and calls the provider gateway.
type demoService struct {
	gateway.UnimplementedMessageAsyncChannelServer
	port string

	mu          sync.Mutex // guards authorities
	authorities map[string]int
}

// startDemoService listens on a free port and serves until the stage is stopped.
func startDemoService(d *demoStage) (*demoService, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listening for the sample microservice: %w", err)
	}
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	s := &demoService{port: port, authorities: map[string]int{}}
	server := grpc.NewServer()
	gateway.RegisterMessageAsyncChannelServer(server, s)
	d.start("sample microservice", func(ctx context.Context) error {
		defer context.AfterFunc(ctx, server.Stop)()
		return server.Serve(listener)
	})
	return s, nil
}

// ProcessMessage is the service's own API, which the gateway calls.
func (s *demoService) ProcessMessage(ctx context.Context, in *gateway.ProtoMessage) (*gateway.Heartbeat, error) {
	headers, _ := metadata.FromIncomingContext(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, authority := range headers.Get(":authority") {
		s.authorities[authority]++
	}
	return &gateway.Heartbeat{Timestamp: time.Now().UnixMilli(), MessageId: in.GetMessageId()}, nil
}

// called tells how many calls came under how many authorities.
func (s *demoService) called() (calls, authorities int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, n := range s.authorities {
		calls += n
	}
	return calls, len(s.authorities)
}

// send calls the provider gateway; queue asks for another queue than the
// gateway's own when it is not empty.
func (s *demoService) send(ctx context.Context, address, queue string, m *gateway.ProtoMessage) error {
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	if queue != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "x-synapse-override-destination-queue", queue)
	}
	_, err = gateway.NewMessageAsyncChannelClient(conn).ProcessMessage(ctx, m)
	return err
}

// demoPartner is the sample external system: it knows the broker and its queues,
// and nothing of the gateway.
type demoPartner struct {
	broker *jetstream.Broker

	mu   sync.Mutex // guards read
	read map[string]int
}

// Queues of the partner.
const (
	ordersIn      = "ORDERS.IN"
	partnerIn     = "PARTNER.IN"
	partnerUrgent = "PARTNER.URGENT"
	partnerOut    = "PARTNER.OUT"
)

// startDemoPartner connects to the broker, makes its queues and reads them until
// the stage is stopped.
func startDemoPartner(d *demoStage) (*demoPartner, error) {
	broker, err := jetstream.Open(jetstream.Config{
		Manager: "partner", Instance: "partner",
		Addresses: []mq.ConnectionConfig{{URI: secret.URI("nats://" + d.broker), Token: secret.String(d.token)}},
	})
	if err != nil {
		return nil, err
	}
	p := &demoPartner{broker: broker, read: map[string]int{}}
	d.stops = append(d.stops, func() { _ = broker.Close() })
	for _, queue := range []string{partnerIn, partnerUrgent, partnerOut} {
		if err := broker.Declare(d.ctx, mq.Queue{Name: queue, Kind: mq.Quorum}); err != nil {
			return nil, err
		}
	}
	for _, queue := range []string{partnerIn, partnerUrgent} {
		d.start("sample partner", func(ctx context.Context) error { return p.receive(ctx, queue) })
	}
	return p, nil
}

// receive reads a queue until ctx ends.
func (p *demoPartner) receive(ctx context.Context, queue string) error {
	sub, err := p.broker.Subscribe(ctx, mq.Queue{Name: queue, Prefetch: 10})
	if err != nil {
		return err
	}
	defer func() { _ = sub.Close() }()
	for {
		d, err := sub.Receive(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		if err := d.Settle(mq.Ack); err != nil {
			return err
		}
		p.mu.Lock()
		p.read[d.Message.ID]++
		p.mu.Unlock()
	}
}

// received tells how many messages the partner has read.
func (p *demoPartner) received() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.read)
}

// put sends a message to a queue, as an external system does.
func (p *demoPartner) put(ctx context.Context, queue string, m *flow.Message) error {
	return p.broker.Publish(ctx, flow.Address{Key: queue}, m)
}
