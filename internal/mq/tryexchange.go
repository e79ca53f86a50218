package mq

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/google/uuid"

	"mqgateway/internal/flow"
)

// TryExchange tries all that instances do to exchange replies of a shared reply queue:
// to make a group and a queue of it, to send to both, and to read. It does so under a
// name of its own beside theirs, which no instance notices and which is gone a minute
// later. The error names the rights that it takes.
func TryExchange(ctx context.Context, broker Broker, queue string) error {
	name := (&replyGroup{queue: queue}).handover("check-" + uuid.NewString()[:8])
	if err := tryExchange(ctx, broker, Queue{Name: name, Prefetch: 1, Kind: Classic, TTL: time.Minute, Expires: time.Minute}); err != nil {
		return fmt.Errorf("instances can't exchange replies (which takes the rights configure, write and read on %s\\.GW.*, and write on amq\\.default): %w",
			regexp.QuoteMeta(queue), err)
	}
	return nil
}

func tryExchange(ctx context.Context, broker Broker, q Queue) error {
	b, ok := broker.(Broadcaster)
	if !ok {
		return errors.New("the broker has no groups of queues")
	}
	if err := b.Join(ctx, q.Name, q); err != nil {
		return err
	}
	m := flow.Message{ID: q.Name, Persistence: flow.NonPersistent}
	if err := b.Broadcast(ctx, q.Name, &m); err != nil {
		return fmt.Errorf("sending to group %q: %w", q.Name, err)
	}
	if err := broker.Publish(ctx, flow.Address{Key: q.Name}, &m); err != nil {
		return fmt.Errorf("sending to queue %q: %w", q.Name, err)
	}
	sub, err := broker.Subscribe(ctx, q)
	if err != nil {
		return fmt.Errorf("reading queue %q: %w", q.Name, err)
	}
	for range 2 {
		d, err := sub.Receive(ctx)
		if err == nil {
			err = d.Settle(Ack)
		}
		if err != nil {
			return errors.Join(fmt.Errorf("reading queue %q: %w", q.Name, err), sub.Close())
		}
	}
	return sub.Close()
}
