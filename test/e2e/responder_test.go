package e2e

import (
	"context"
	"sync"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"mqgateway/test/rabbittest"
)

// request is a request as the external system gets it.
type request struct {
	amqp.Delivery
	channel *amqp.Channel
}

// reply sends a reply to where the request wants it.
func (r request) reply(m amqp.Publishing) error {
	return r.channel.PublishWithContext(context.Background(), "", r.ReplyTo, false, false, m)
}

// respond runs the external system until the test ends: each request from queue
// OUT is given to answer, many at once. When its connection is lost it connects
// again; requests that it had are gone then.
func respond(t *testing.T, vhost *rabbittest.VHost, answer func(context.Context, request)) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		for ctx.Err() == nil {
			respondOnce(ctx, vhost, answer, &running)
			select {
			case <-ctx.Done():
			case <-time.After(50 * time.Millisecond):
			}
		}
	})
	t.Cleanup(func() { cancel(); running.Wait() })
}

// respondOnce returns when its connection is lost, or ctx ends.
func respondOnce(ctx context.Context, vhost *rabbittest.VHost, answer func(context.Context, request), running *sync.WaitGroup) {
	conn, err := amqp.Dial(vhost.URI())
	if err != nil {
		return
	}
	defer func() { _ = conn.CloseDeadline(time.Now().Add(5 * time.Second)) }()
	ch, err := conn.Channel()
	if err != nil {
		return
	}
	requests, err := ch.ConsumeWithContext(ctx, "OUT", "", true, false, false, false, nil)
	if err != nil {
		return
	}
	for d := range requests {
		running.Go(func() { answer(ctx, request{d, ch}) })
	}
}

// takeRequests gives the requests to the test, which answers them by its own hand.
func takeRequests(t *testing.T, vhost *rabbittest.VHost) <-chan request {
	t.Helper()
	taken := make(chan request, 100) // More than a test leaves in there.
	respond(t, vhost, func(_ context.Context, r request) { taken <- r })
	return taken
}

// The ways in which external systems tell what their replies belong to.
var habits = map[string]func(amqp.Delivery) amqp.Publishing{
	"MQ": func(d amqp.Delivery) amqp.Publishing {
		return amqp.Publishing{CorrelationId: d.MessageId}
	},
	"RPC": func(d amqp.Delivery) amqp.Publishing {
		return amqp.Publishing{CorrelationId: d.CorrelationId}
	},
	"RPC with the message id": func(d amqp.Delivery) amqp.Publishing {
		return amqp.Publishing{CorrelationId: d.CorrelationId, MessageId: d.MessageId}
	},
}
