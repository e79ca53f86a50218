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
	conn, ch, err := dialConfirming(o.uri)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	return listen(ctx, func(s grpc.ServiceRegistrar) {
		gateway.RegisterMessageAsyncChannelServer(s, &provider{ch: ch, queue: o.queue})
	})
}

// dialConfirming opens a connection that joins its writes, and a channel that
// confirms.
func dialConfirming(uri string) (*amqp.Connection, *amqp.Channel, error) {
	conn, err := amqp.DialConfig(uri, amqp.Config{Dial: dialJoined})
	if err != nil {
		return nil, nil, err
	}
	ch, err := conn.Channel()
	if err == nil {
		err = ch.Confirm(false)
	}
	if err != nil {
		_ = conn.Close()
		return nil, nil, err
	}
	return conn, ch, nil
}

// listen serves what is registered until ctx ends.
func listen(ctx context.Context, register func(grpc.ServiceRegistrar)) error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := grpc.NewServer()
	register(server)
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

// ProcessMessage implements the asynchronous channel.
func (p *provider) ProcessMessage(ctx context.Context, in *gateway.ProtoMessage) (*gateway.Heartbeat, error) {
	message, err := toPublishing(in)
	if err != nil {
		return nil, err
	}
	if err := publish(ctx, p.ch, p.queue, message); err != nil {
		return nil, err
	}
	return &gateway.Heartbeat{Timestamp: time.Now().UnixMilli(), MessageId: in.GetMessageId()}, nil
}

var errRefused = errors.New("refused by the broker")

// publish publishes a message to a queue and waits for its confirm.
func publish(ctx context.Context, ch *amqp.Channel, queue string, message amqp.Publishing) error {
	confirm, err := ch.PublishWithDeferredConfirm("", queue, true, false, message)
	if err != nil {
		return err
	}
	acked, err := confirm.WaitContext(ctx)
	if err != nil {
		return err
	}
	if !acked {
		return errRefused
	}
	return nil
}

// toPublishing makes what the gateway would publish. It knows which system headers
// the messages of bench have.
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
