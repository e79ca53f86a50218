package main

import (
	"context"
	"fmt"
	"net"

	"github.com/google/go-cmp/cmp"
	amqp "github.com/rabbitmq/amqp091-go"
	"google.golang.org/protobuf/testing/protocmp"

	"mqgateway/api/proto/gateway"
)

// compared is the number of messages that are compared field by field.
const compared = 20

// compare lets both sides handle the same messages and holds what they make of
// them against each other: only equal work is worth comparing. For consumers it
// returns a call to hold the measured ones against.
func (b *bench) compare(s scenario) (*gateway.ProtoMessage, error) {
	if s.Flow == providing {
		return nil, b.comparePublished(s)
	}
	calls := map[string]map[string]call{}
	for _, side := range sides {
		var err error
		if calls[side], err = b.calls(s, side); err != nil {
			return nil, fmt.Errorf("comparing, %s: %w", side, err)
		}
	}
	if diff := cmp.Diff(calls[bareSide], calls[gatewaySide], protocmp.Transform(), cmp.AllowUnexported(call{})); diff != "" {
		return nil, fmt.Errorf("the sides call the service differently (-bare +gateway):\n%s", diff)
	}
	return calls[bareSide][idOf(0)].message, nil
}

// calls are what a side makes of some messages.
func (b *bench) calls(s scenario, side string) (map[string]call, error) {
	if err := b.broker.renew(s.Queue); err != nil {
		return nil, err
	}
	if err := b.broker.fill(s, compared); err != nil {
		return nil, err
	}
	r := newRecord(compared)
	b.service.observe(r.add)
	p, err := b.start(s, side)
	if err != nil {
		return nil, err
	}
	if err := p.await(r.done); err != nil {
		return nil, err
	}
	return r.byID, p.stop()
}

func (b *bench) comparePublished(s scenario) error {
	published := map[string]map[string]amqp.Delivery{}
	for _, side := range sides {
		var err error
		if published[side], err = b.published(s, side); err != nil {
			return fmt.Errorf("comparing, %s: %w", side, err)
		}
	}
	ignored := cmp.FilterPath(func(p cmp.Path) bool {
		switch p.Last().String() {
		case ".Timestamp", ".Acknowledger", ".DeliveryTag", ".MessageCount", ".ConsumerTag":
			return true
		default:
			return false
		}
	}, cmp.Ignore())
	if diff := cmp.Diff(published[bareSide], published[gatewaySide], ignored); diff != "" {
		return fmt.Errorf("the sides publish differently (-bare +gateway):\n%s", diff)
	}
	return nil
}

// published are the messages that a side makes of some calls.
func (b *bench) published(s scenario, side string) (map[string]amqp.Delivery, error) {
	if err := b.broker.renew(s.Queue); err != nil {
		return nil, err
	}
	p, err := b.start(s, side)
	if err != nil {
		return nil, err
	}
	c, err := dial(p)
	if err != nil {
		return nil, err
	}
	defer c.close()
	for i := range compared {
		if err := c.call(context.Background(), protoMessage(s, i, s.body())); err != nil {
			return nil, err
		}
	}
	if err := p.stop(); err != nil {
		return nil, err
	}
	return b.broker.take(compared)
}

func portOf(address string) string {
	_, port, _ := net.SplitHostPort(address)
	return port
}
