package main

import (
	"errors"
	"fmt"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"mqgateway/api/proto/gateway"
)

// queue is the one queue that everything goes through but replies, which have
// the queue that a gateway makes for its instance. Each measurement has new ones of
// these names.
const (
	queue      = "bench"
	replyQueue = queue + ".DQ." + instance
)

// broker is the view of a foreign program on the broker.
type broker struct {
	conn *amqp.Connection
	ch   *amqp.Channel
}

func connect(uri string) (*broker, error) {
	conn, err := amqp.Dial(uri)
	if err != nil {
		return nil, fmt.Errorf("connecting to the broker: %w", err)
	}
	ch, err := conn.Channel()
	if err == nil {
		err = ch.Confirm(false)
	}
	if err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("opening a channel: %w", err)
	}
	return &broker{conn, ch}, nil
}

func (b *broker) close() { _ = b.conn.Close() }

// renew makes the queues of a scenario, empty and durable. Who asks makes the queue
// of its replies itself.
func (b *broker) renew(s scenario) error {
	for _, name := range []string{queue, replyQueue} {
		if _, err := b.ch.QueueDelete(name, false, false, false); err != nil {
			return fmt.Errorf("deleting queue %q: %w", name, err)
		}
		if name == replyQueue && s.Flow != answering {
			continue
		}
		if _, err := b.ch.QueueDeclare(name, true, false, false, false, amqp.Table{amqp.QueueTypeArg: s.Queue}); err != nil {
			return fmt.Errorf("declaring queue %q: %w", name, err)
		}
	}
	return nil
}

// fill publishes messages until all are confirmed.
func (b *broker) fill(s scenario, messages int) error {
	confirms := make([]*amqp.DeferredConfirmation, messages)
	body := []byte(s.body())
	for i := range confirms {
		var err error
		if confirms[i], err = b.ch.PublishWithDeferredConfirm("", queue, true, false, publishing(s, i, body)); err != nil {
			return fmt.Errorf("filling queue %q: %w", queue, err)
		}
	}
	for _, c := range confirms {
		if !c.Wait() {
			return fmt.Errorf("filling queue %q: a message was refused", queue)
		}
	}
	return nil
}

// publishing is a message as a partner would send it.
func publishing(s scenario, i int, body []byte) amqp.Publishing {
	p := amqp.Publishing{
		MessageId: idOf(i), CorrelationId: fmt.Sprintf("order-%08d", i), ContentType: s.contentType(),
		DeliveryMode: amqp.Persistent, Body: body,
		Headers: amqp.Table{
			"region": "north", "channel": "branch", "priority-class": "standard", "trace": "4bf92f3577b34da6a3ce929d0e0e4736",
		},
	}
	if s.Flow == answering {
		p.ReplyTo = replyQueue
	}
	return p
}

// protoMessage is a message as a microservice would send it.
func protoMessage(s scenario, i int, body string) *gateway.ProtoMessage {
	return &gateway.ProtoMessage{
		MessageId: idOf(i), CorrelationId: fmt.Sprintf("order-%08d", i), Body: body,
		SystemHeaders: map[string]string{"ReplyToQ": "replies", "Priority": "4", "ContentType": s.contentType()},
		UserHeaders: map[string]string{
			"region": "north", "channel": "branch", "priority-class": "standard", "trace": "4bf92f3577b34da6a3ce929d0e0e4736",
		},
	}
}

// idOf and indexOf are the message ids of measurements.
func idOf(i int) string { return fmt.Sprintf("%08d", i) }

func indexOf(id string) int {
	n := 0
	for _, c := range id {
		n = n*10 + int(c-'0')
	}
	return n
}

// holds waits until a queue has so many messages, unsettled ones counted once
// their reader is gone.
func (b *broker) holds(queue string, messages int) error {
	return b.await(queue, func(q amqp.Queue) error {
		if q.Messages != messages {
			return fmt.Errorf("it holds %d messages, want %d", q.Messages, messages)
		}
		return nil
	})
}

var errUnread = errors.New("nobody reads it")

// awaitReader waits until somebody reads the queue.
func (b *broker) awaitReader() error {
	return b.await(queue, func(q amqp.Queue) error {
		if q.Consumers == 0 {
			return errUnread
		}
		return nil
	})
}

// await asks for a queue until check has no complaint.
func (b *broker) await(queue string, check func(amqp.Queue) error) error {
	end := time.Now().Add(patience)
	for {
		q, err := b.ch.QueueDeclarePassive(queue, true, false, false, false, nil)
		if err != nil {
			return fmt.Errorf("inspecting queue %q: %w", queue, err)
		}
		if err = check(q); err == nil {
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("waiting for queue %q: %w", queue, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// take reads and acknowledges so many messages of a queue. Replies are told by the
// ids of their requests.
func (b *broker) take(queue string, messages int) (map[string]amqp.Delivery, error) {
	ch, err := b.conn.Channel()
	if err != nil {
		return nil, fmt.Errorf("opening a channel: %w", err)
	}
	defer func() { _ = ch.Close() }()
	deliveries, err := ch.Consume(queue, "", true, false, false, false, nil)
	if err != nil {
		return nil, fmt.Errorf("reading queue %q: %w", queue, err)
	}
	byID := map[string]amqp.Delivery{}
	late := time.After(patience)
	for range messages {
		select {
		case d := <-deliveries:
			if queue == replyQueue {
				byID[d.CorrelationId] = d
			} else {
				byID[d.MessageId] = d
			}
		case <-late:
			return nil, fmt.Errorf("reading queue %q: %d messages, want %d", queue, len(byID), messages)
		}
	}
	return byID, nil
}
