package main

import (
	"context"
	"errors"
	"net"
	"strconv"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"google.golang.org/grpc"

	"mqgateway/api/proto/gateway"
)

// provide publishes each message of a call and answers once it is confirmed.
func provide(ctx context.Context, o options) error {
	conn, err := amqp.DialConfig(o.uri, amqp.Config{Dial: dialJoined})
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	ch, err := conn.Channel()
	if err != nil {
		return err
	}
	if err := ch.Confirm(false); err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := grpc.NewServer()
	gateway.RegisterMessageAsyncChannelServer(server, &provider{ch: ch, queue: o.queue})
	context.AfterFunc(ctx, server.GracefulStop)
	started(listener.Addr().String())
	return server.Serve(listener)
}

// provider serves the calls.
type provider struct {
	gateway.UnimplementedMessageAsyncChannelServer
	ch    *amqp.Channel
	queue string
}

var errRefused = errors.New("refused by the broker")

// ProcessMessage implements the asynchronous channel.
func (p *provider) ProcessMessage(ctx context.Context, in *gateway.ProtoMessage) (*gateway.Heartbeat, error) {
	message, err := toPublishing(in)
	if err != nil {
		return nil, err
	}
	confirm, err := p.ch.PublishWithDeferredConfirm("", p.queue, true, false, message)
	if err != nil {
		return nil, err
	}
	acked, err := confirm.WaitContext(ctx)
	if err != nil {
		return nil, err
	}
	if !acked {
		return nil, errRefused
	}
	return &gateway.Heartbeat{Timestamp: time.Now().UnixMilli(), MessageId: in.GetMessageId()}, nil
}

// toPublishing makes what the gateway would publish. It knows which system headers
// the calls of bench have.
func toPublishing(in *gateway.ProtoMessage) (amqp.Publishing, error) {
	headers := make(amqp.Table, len(in.GetUserHeaders()))
	for name, value := range in.GetUserHeaders() {
		headers[name] = value
	}
	system := in.GetSystemHeaders()
	priority, err := strconv.ParseUint(system["Priority"], 10, 8)
	return amqp.Publishing{
		MessageId: in.GetMessageId(), CorrelationId: in.GetCorrelationId(), ReplyTo: system["ReplyToQ"],
		ContentType: system["ContentType"], Priority: uint8(priority), DeliveryMode: amqp.Persistent,
		Timestamp: time.Now(), Headers: headers, Body: []byte(in.GetBody()),
	}, err
}
