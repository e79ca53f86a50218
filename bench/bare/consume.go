package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"mqgateway/api/proto/gateway"
)

// callTimeout is that of the gateway's default settings.
const callTimeout = 30 * time.Second

// consume calls the service with each message of the queue and acknowledges it.
func consume(ctx context.Context, o options) error {
	conn, err := amqp.Dial(o.uri)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	return read(ctx, conn, o, func(service *grpc.ClientConn) handler {
		c := &caller{options: o, client: gateway.NewMessageAsyncChannelClient(service)}
		return c.handle
	})
}

// handler is what is done with a delivery before it is acknowledged.
type handler func(*amqp.Delivery) error

// read gives each message of the queue to a handler and acknowledges it.
func read(ctx context.Context, conn *amqp.Connection, o options, handlerOf func(*grpc.ClientConn) handler) error {
	service, err := grpc.NewClient("passthrough:///"+o.service,
		grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithUserAgent("mq-gateway"))
	if err != nil {
		return err
	}
	defer func() { _ = service.Close() }()
	ch, deliveries, err := subscribe(conn, o)
	if err != nil {
		return err
	}
	loop := &consumer{handle: handlerOf(service), acks: newAcks(ch, o.run, o.prefetch)}
	go loop.acks.tick(ctx)
	started("")
	failed := make(chan error, o.workers)
	var workers sync.WaitGroup
	for range o.workers {
		workers.Go(func() { failed <- loop.work(deliveries) })
	}
	select {
	case err = <-failed:
		return err
	case <-ctx.Done():
	}
	if err := ch.Cancel(consumerTag, false); err != nil {
		return err
	}
	workers.Wait()
	return loop.acks.flush()
}

const consumerTag = "bare"

func subscribe(conn *amqp.Connection, o options) (*amqp.Channel, <-chan amqp.Delivery, error) {
	ch, err := conn.Channel()
	if err != nil {
		return nil, nil, err
	}
	if err := ch.Qos(o.prefetch, 0, false); err != nil {
		return nil, nil, err
	}
	deliveries, err := ch.Consume(o.queue, consumerTag, false, false, false, false, nil)
	return ch, deliveries, err
}

// consumer is what the workers share.
type consumer struct {
	handle handler
	acks   *acks
}

// work handles deliveries until there are no more.
func (c *consumer) work(deliveries <-chan amqp.Delivery) error {
	for d := range deliveries {
		if err := c.handle(&d); err != nil {
			return err
		}
		if err := c.acks.done(d.DeliveryTag); err != nil {
			return fmt.Errorf("acknowledging: %w", err)
		}
	}
	return nil
}

// caller calls the service with deliveries.
type caller struct {
	options options
	client  gateway.MessageAsyncChannelClient
}

func (c *caller) handle(d *amqp.Delivery) error {
	request, err := toProto(d, c.options.queue, c.options.manager)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
	defer cancel()
	if _, err := c.client.ProcessMessage(ctx, request, grpc.CallAuthority(c.options.authority)); err != nil {
		return fmt.Errorf("calling the service: %w", err)
	}
	return nil
}
