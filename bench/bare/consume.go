package main

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/anypb"

	"mqgateway/api/proto/gateway"
	"mqgateway/api/proto/gateway/mq"
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
	loop := &consumer{options: o, client: gateway.NewMessageAsyncChannelClient(service), acks: newAcks(ch, o.run, o.prefetch)}
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
	options options
	client  gateway.MessageAsyncChannelClient
	acks    *acks
}

// work handles deliveries until there are no more.
func (c *consumer) work(deliveries <-chan amqp.Delivery) error {
	for d := range deliveries {
		request, err := c.toProto(&d)
		if err != nil {
			return err
		}
		if err := c.call(request); err != nil {
			return fmt.Errorf("calling the service: %w", err)
		}
		if err := c.acks.done(d.DeliveryTag); err != nil {
			return fmt.Errorf("acknowledging: %w", err)
		}
	}
	return nil
}

func (c *consumer) call(request *gateway.ProtoMessage) error {
	ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
	defer cancel()
	_, err := c.client.ProcessMessage(ctx, request, grpc.CallAuthority(c.options.authority))
	return err
}

// toProto makes what the gateway would send. It knows that all headers are texts,
// and which properties the messages of bench have.
func (c *consumer) toProto(d *amqp.Delivery) (*gateway.ProtoMessage, error) {
	user := make(map[string]string, len(d.Headers))
	for name, value := range d.Headers {
		user[name], _ = value.(string)
	}
	extension, err := anypb.New(&mq.MqMessageInformation{
		MessageType:  mq.MqMessageInformation_DATAGRAM,
		DeliveryMode: mq.MqMessageInformation_DeliveryMode(d.DeliveryMode),
		SourceQueue:  c.options.queue, SourceManager: c.options.manager,
	})
	if err != nil {
		return nil, err
	}
	return &gateway.ProtoMessage{
		MessageId: d.MessageId, CorrelationId: d.CorrelationId, Body: string(d.Body),
		SystemHeaders: map[string]string{
			"MsgId": d.MessageId, "CorrelId": d.CorrelationId, "ContentType": d.ContentType,
			"Persistence": strconv.Itoa(int(d.DeliveryMode)), "MsgType": "8",
			"BackoutCount": "0", "Redelivered": strconv.FormatBool(d.Redelivered),
			"SourceQueue": c.options.queue, "SourceManager": c.options.manager, "RoutingKey": d.RoutingKey,
		},
		UserHeaders: user,
		Extension:   extension,
	}, nil
}
