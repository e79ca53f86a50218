package main

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"

	"github.com/google/go-cmp/cmp"
	amqp "github.com/rabbitmq/amqp091-go"
	"google.golang.org/protobuf/testing/protocmp"

	"mqgateway/api/proto/gateway"
)

// compared is the number of messages that are compared field by field.
const compared = 20

// work is all that a side makes of some messages, by their ids.
type work struct {
	// calls are those of the service.
	calls map[string]call
	// published is what arrives in a queue: messages, requests, or the answers of
	// requests that were read.
	published map[string]amqp.Delivery
	// replies are what callers get.
	replies map[string]*gateway.ProtoMessage
}

// compare lets both sides handle the same messages and holds what they make of
// them against each other: only equal work is worth comparing. It returns what
// each message that is measured has to be like at the service or, where there is
// none, at a caller that gets replies.
func (b *bench) compare(s scenario) (*gateway.ProtoMessage, error) {
	works := map[string]work{}
	for _, side := range sides {
		var err error
		if works[side], err = b.work(s, side); err != nil {
			return nil, fmt.Errorf("comparing, %s: %w", side, err)
		}
	}
	if diff := cmp.Diff(works[bareSide], works[gatewaySide], protocmp.Transform(), cmp.AllowUnexported(work{}, call{}), ignored); diff != "" {
		return nil, fmt.Errorf("the sides do different work (-bare +gateway):\n%s", diff)
	}
	if s.asks() {
		return works[bareSide].replies[idOf(0)], nil
	}
	return works[bareSide].calls[idOf(0)].message, nil
}

// ignored is what has to differ.
var ignored = cmp.FilterPath(func(p cmp.Path) bool {
	switch p.Last().String() {
	case ".Timestamp", ".Acknowledger", ".DeliveryTag", ".MessageCount", ".ConsumerTag":
		return true
	default:
		return false
	}
}, cmp.Ignore())

// work lets a side handle some messages.
func (b *bench) work(s scenario, side string) (work, error) {
	if err := b.broker.renew(s); err != nil {
		return work{}, err
	}
	switch {
	case s.reads():
		return b.workOnQueue(s, side)
	case s.asks():
		return b.workOnRequests(s, side)
	default:
		_, err := b.callEach(s, side)
		if err != nil {
			return work{}, err
		}
		published, err := b.broker.take(queue, compared)
		return work{published: published}, err
	}
}

func (b *bench) workOnQueue(s scenario, side string) (work, error) {
	if err := b.broker.fill(s, compared); err != nil {
		return work{}, err
	}
	r := newRecord(compared)
	b.service.observe(r.add)
	p, err := b.start(s, side)
	if err != nil {
		return work{}, err
	}
	if err := p.await(r.done); err != nil {
		return work{}, err
	}
	if err := p.stop(); err != nil {
		return work{}, err
	}
	w := work{calls: r.byID}
	if s.Flow == answering {
		w.published, err = b.broker.take(replyQueue, compared)
		err = errors.Join(err, alike(w.published))
	}
	return w, err
}

// alike blanks the ids of answers, which the gateway makes as nobody else does.
func alike(answers map[string]amqp.Delivery) error {
	for id, d := range answers {
		if d.MessageId == "" {
			return fmt.Errorf("the answer to message %q has no id", id)
		}
		d.MessageId = ""
		answers[id] = d
	}
	return nil
}

func (b *bench) workOnRequests(s scenario, side string) (work, error) {
	var mu sync.Mutex
	requests := map[string]amqp.Delivery{}
	r, err := b.respond(func(d amqp.Delivery) {
		mu.Lock()
		defer mu.Unlock()
		d.ReplyTo = withoutNumber(d.ReplyTo)
		requests[d.MessageId] = d
	})
	if err != nil {
		return work{}, err
	}
	defer r.close()
	replies, err := b.callEach(s, side)
	if err != nil {
		return work{}, err
	}
	for _, reply := range replies {
		reply.SystemHeaders["RoutingKey"] = withoutNumber(reply.GetSystemHeaders()["RoutingKey"])
	}
	mu.Lock()
	defer mu.Unlock()
	return work{published: requests, replies: replies}, nil
}

// withoutNumber is the part of a direct reply address that all have.
func withoutNumber(address string) string {
	const prefix = "amq.rabbitmq.reply-to."
	if strings.HasPrefix(address, prefix) {
		return prefix
	}
	return address
}

// callEach calls a side with each message, and returns the replies.
func (b *bench) callEach(s scenario, side string) (map[string]*gateway.ProtoMessage, error) {
	p, err := b.start(s, side)
	if err != nil {
		return nil, err
	}
	c, err := dial(p, s)
	if err != nil {
		return nil, err
	}
	defer c.close()
	replies := map[string]*gateway.ProtoMessage{}
	for i := range compared {
		if replies[idOf(i)], err = c.pass(protoMessage(s, i, s.body())); err != nil {
			return nil, err
		}
	}
	return replies, p.stop()
}

func portOf(address string) string {
	_, port, _ := net.SplitHostPort(address)
	return port
}
