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
	gateway.RegisterMessageSyncChannelServer(server, demoAnswers{service: s})
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

// demoAnswers is the synchronous API of the sample microservice.
type demoAnswers struct {
	gateway.UnimplementedMessageSyncChannelServer
	service *demoService
}

// ProcessMessage answers a request.
func (a demoAnswers) ProcessMessage(ctx context.Context, in *gateway.ProtoMessage) (*gateway.ProtoMessage, error) {
	if _, err := a.service.ProcessMessage(ctx, in); err != nil {
		return nil, err
	}
	return &gateway.ProtoMessage{Body: "<GetBalanceRs><Balance>10.50</Balance></GetBalanceRs>"}, nil
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

// send hands the provider gateway a message; queue asks for another queue than the
// gateway's own when it is not empty.
func (s *demoService) send(ctx context.Context, address, queue string, m *gateway.ProtoMessage) error {
	if queue != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "x-synapse-override-destination-queue", queue)
	}
	return withConnection(address, func(conn *grpc.ClientConn) error {
		_, err := gateway.NewMessageAsyncChannelClient(conn).ProcessMessage(ctx, m)
		return err
	})
}

// ask sends a request through the provider gateway and returns the reply's body.
func (s *demoService) ask(ctx context.Context, address string, m *gateway.ProtoMessage) (body string, err error) {
	err = withConnection(address, func(conn *grpc.ClientConn) error {
		reply, err := gateway.NewMessageSyncChannelClient(conn).ProcessMessage(ctx, m)
		body = reply.GetBody()
		return err
	})
	return body, err
}

func withConnection(address string, call func(*grpc.ClientConn) error) error {
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	return call(conn)
}

// demoPartner is the sample external system: it knows the broker and its queues,
// and nothing of the gateway.
type demoPartner struct {
	broker *jetstream.Broker

	mu      sync.Mutex // guards the rest
	read    map[string]int
	answers map[string]string // bodies of replies, by correlation id
}

// Queues of the partner.
const (
	ordersIn      = "ORDERS.IN"
	balanceIn     = "BALANCE.IN"
	balanceOut    = "BALANCE.OUT"
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
	p := &demoPartner{broker: broker, read: map[string]int{}, answers: map[string]string{}}
	d.stops = append(d.stops, func() { _ = broker.Close() })
	for _, queue := range []string{partnerIn, partnerUrgent, partnerOut, balanceOut} {
		if err := broker.Declare(d.ctx, mq.Queue{Name: queue, Kind: mq.Quorum}); err != nil {
			return nil, err
		}
	}
	for _, queue := range []string{partnerIn, partnerUrgent, balanceOut} {
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
		if err := p.note(ctx, queue, &d.Message); err != nil {
			return err
		}
		if err := d.Settle(mq.Ack); err != nil {
			return err
		}
	}
}

// note remembers a message, and answers it when it asks for a reply.
func (p *demoPartner) note(ctx context.Context, queue string, m *flow.Message) error {
	p.mu.Lock()
	p.read[m.ID]++
	if queue == balanceOut {
		p.answers[m.CorrelID] = string(m.Body)
	}
	p.mu.Unlock()
	if m.ReplyTo == "" {
		return nil
	}
	return p.put(ctx, m.ReplyTo, &flow.Message{CorrelID: m.ID, Body: []byte(`{"operation":"PriceRs","price":"2.50"}`)})
}

// answer is the body of the reply to a request of the partner's.
func (p *demoPartner) answer(id string) (body string, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	body, ok = p.answers[id]
	return body, ok
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
