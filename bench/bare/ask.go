package main

import (
	"context"
	"strconv"
	"sync"

	amqp "github.com/rabbitmq/amqp091-go"
	"google.golang.org/grpc"

	"mqgateway/api/proto/gateway"
	"mqgateway/api/proto/gateway/mq"
)

// directReplyTo is the address of replies that come back by the channel of their
// requests (https://www.rabbitmq.com/docs/direct-reply-to).
const directReplyTo = "amq.rabbitmq.reply-to"

// ask publishes the request of each call and answers with its reply.
func ask(ctx context.Context, o options) error {
	conn, ch, err := dialConfirming(o.uri)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	a := &asker{options: o, ch: ch, waiting: map[string]chan amqp.Delivery{}}
	if err := a.subscribe(ctx, conn); err != nil {
		return err
	}
	if err := listen(ctx, func(s grpc.ServiceRegistrar) { gateway.RegisterMessageSyncChannelServer(s, a) }); err != nil || a.acks == nil {
		return err
	}
	return a.acks.flush()
}

// asker serves the calls.
type asker struct {
	gateway.UnimplementedMessageSyncChannelServer
	options options
	ch      *amqp.Channel
	// acks are those of a queue; direct replies have none.
	acks *acks

	mu      sync.Mutex // guards waiting
	waiting map[string]chan amqp.Delivery
}

// subscribe begins to read replies, of a queue on a channel of its own.
func (a *asker) subscribe(ctx context.Context, conn *amqp.Connection) error {
	if a.options.replies == directReplyTo {
		replies, err := a.ch.Consume(directReplyTo, consumerTag, true, false, false, false, nil)
		go a.take(replies)
		return err
	}
	if _, err := a.ch.QueueDeclare(a.options.replies, true, false, false, false, nil); err != nil {
		return err
	}
	o := a.options
	o.queue = o.replies
	ch, replies, err := subscribe(conn, o)
	if err != nil {
		return err
	}
	a.acks = newAcks(ch, o.run, o.prefetch)
	go a.acks.tick(ctx)
	go a.take(replies)
	return nil
}

// take gives replies to who waits for them, until there are no more.
func (a *asker) take(replies <-chan amqp.Delivery) {
	for d := range replies {
		a.mu.Lock()
		reply := a.waiting[d.CorrelationId]
		delete(a.waiting, d.CorrelationId)
		a.mu.Unlock()
		if reply != nil {
			reply <- d
		}
		if a.acks != nil {
			_ = a.acks.done(d.DeliveryTag) // A channel that is gone ends the replies, which callers tell.
		}
	}
}

// ProcessMessage implements the synchronous channel.
func (a *asker) ProcessMessage(ctx context.Context, in *gateway.ProtoMessage) (*gateway.ProtoMessage, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	message, err := toPublishing(in)
	if err != nil {
		return nil, err
	}
	message.ReplyTo, message.Expiration = a.options.replies, strconv.FormatInt(callTimeout.Milliseconds(), 10)
	message.Headers["x-mq-msg-type"], message.Headers["x-reply-to-manager"] = int32(mq.MqMessageInformation_REQUEST), a.options.manager
	reply := make(chan amqp.Delivery, 1)
	a.mu.Lock()
	a.waiting[message.MessageId] = reply
	a.mu.Unlock()
	if err := publish(ctx, a.ch, a.options.queue, message); err != nil {
		return nil, err
	}
	select {
	case d := <-reply:
		return toProto(&d, a.options.replies, a.options.manager)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
