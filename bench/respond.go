package main

import (
	"fmt"
	"maps"
	"strings"

	amqp "github.com/rabbitmq/amqp091-go"
)

// responder is the system behind the queue that answers requests.
type responder struct {
	broker *broker
	seen   func(amqp.Delivery)
}

// unseen is for requests that nobody looks at.
func unseen(amqp.Delivery) {}

// respond answers the requests in the queue, of which it tells seen, until it is
// closed. A reply that can't be sent is one that its caller misses.
func (b *bench) respond(seen func(amqp.Delivery)) (*responder, error) {
	own, err := connect(b.options.uri)
	if err != nil {
		return nil, err
	}
	ch, err := own.conn.Channel()
	if err != nil {
		own.close()
		return nil, fmt.Errorf("opening a channel: %w", err)
	}
	requests, err := ch.Consume(queue, "", true, false, false, false, nil)
	if err != nil {
		own.close()
		return nil, fmt.Errorf("reading queue %q: %w", queue, err)
	}
	r := &responder{broker: own, seen: seen}
	go r.answer(ch, requests)
	return r, nil
}

func (r *responder) close() { r.broker.close() }

// answer echoes requests, without the headers that tell they are some.
func (r *responder) answer(ch *amqp.Channel, requests <-chan amqp.Delivery) {
	for d := range requests {
		r.seen(d)
		headers := maps.Clone(d.Headers)
		maps.DeleteFunc(headers, func(name string, _ any) bool { return strings.HasPrefix(name, "x-") })
		if err := ch.Publish("", d.ReplyTo, false, false, amqp.Publishing{
			MessageId: "reply-" + d.MessageId, CorrelationId: d.MessageId, ContentType: d.ContentType,
			DeliveryMode: amqp.Persistent, Headers: headers, Body: d.Body,
		}); err != nil {
			return
		}
	}
}
