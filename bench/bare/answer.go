package main

import (
	"context"
	"fmt"

	amqp "github.com/rabbitmq/amqp091-go"
	"google.golang.org/grpc"

	"mqgateway/api/proto/gateway"
)

// answer calls the service with each request of the queue, publishes its answer to
// where the request says, and acknowledges the request once that is confirmed.
func answer(ctx context.Context, o options) error {
	conn, ch, err := dialConfirming(o.uri)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	return read(ctx, conn, o, func(service *grpc.ClientConn) handler {
		a := &answerer{options: o, client: gateway.NewMessageSyncChannelClient(service), ch: ch}
		return a.handle
	})
}

// answerer publishes the answers of the service.
type answerer struct {
	options options
	client  gateway.MessageSyncChannelClient
	ch      *amqp.Channel
}

func (a *answerer) handle(d *amqp.Delivery) error {
	request, err := toProto(d, a.options.queue, a.options.manager)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
	defer cancel()
	reply, err := a.client.ProcessMessage(ctx, request, grpc.CallAuthority(a.options.authority))
	if err != nil {
		return fmt.Errorf("calling the service: %w", err)
	}
	message, err := toPublishing(reply)
	if err != nil {
		return err
	}
	message.MessageId, message.CorrelationId = "reply-"+d.MessageId, d.MessageId
	return publish(ctx, a.ch, d.ReplyTo, message)
}
