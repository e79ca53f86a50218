package faults

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// amqpPeer is a program on the broker that knows nothing of the gateway. Its connections go straight to the broker.
type amqpPeer struct {
	uri string
	// wire wraps the connection that letters are put by; nil leaves it as it is.
	wire func(net.Conn) net.Conn

	mu sync.Mutex // guards all below
	// line is what letters are put by; nil when there is none.
	line *amqpLine
}

// amqpLine is a channel for publishing, with a connection of its own.
type amqpLine struct {
	conn    *amqp.Connection
	ch      *amqp.Channel
	returns chan amqp.Return

	mu       sync.Mutex // guards returned
	returned map[string]bool
}

// confirmLimit is how long the broker may take to confirm.
const confirmLimit = time.Minute

var errUnsettled = errors.New("the broker did not confirm")

// put sends a letter to a queue and returns nil once the broker has it there.
func (p *amqpPeer) put(ctx context.Context, queue string, l letter) error {
	return p.publish(ctx, queue, amqp.Publishing{
		MessageId: l.id, CorrelationId: l.correl, ReplyTo: l.replyTo, Headers: l.headers, Body: []byte(l.body),
	})
}

// publish is put for a message with any properties.
func (p *amqpPeer) publish(ctx context.Context, queue string, m amqp.Publishing) error {
	line, err := p.open()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, confirmLimit)
	defer cancel()
	m.DeliveryMode = amqp.Persistent
	confirm, err := line.ch.PublishWithDeferredConfirmWithContext(ctx, "", queue, true, false, m)
	if err != nil {
		return err
	}
	ok, err := confirm.WaitContext(ctx)
	switch {
	case err != nil:
		return err
	case !ok:
		return errUnsettled
	case line.wasReturned(m.MessageId):
		return fmt.Errorf("no queue %q", queue)
	}
	return nil
}

// open returns the line, and connects when there is none that lives.
func (p *amqpPeer) open() (*amqpLine, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.line != nil && !p.line.ch.IsClosed() {
		return p.line, nil
	}
	p.hangUp()
	conn, ch, err := connect(p.uri, p.wire)
	if err != nil {
		return nil, err
	}
	if err := ch.Confirm(false); err != nil {
		_ = conn.CloseDeadline(time.Now().Add(time.Second))
		return nil, err
	}
	// More than are ever on their way, so that the reader is never held up.
	returns := ch.NotifyReturn(make(chan amqp.Return, 1<<14))
	p.line = &amqpLine{conn: conn, ch: ch, returns: returns, returned: map[string]bool{}}
	return p.line, nil
}

// close ends the connection for putting letters.
func (p *amqpPeer) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hangUp()
}

// hangUp ends the line. The caller holds mu.
func (p *amqpPeer) hangUp() {
	if p.line != nil {
		_ = p.line.conn.CloseDeadline(time.Now().Add(5 * time.Second))
	}
	p.line = nil
}

// wasReturned tells that a letter found no queue. The broker sends the return in front
// of the confirm, so that it is here when that has come.
func (l *amqpLine) wasReturned(id string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for {
		select {
		case r, ok := <-l.returns:
			if !ok {
				return true // The line is gone: better once more than never.
			}
			l.returned[r.MessageId] = true
		default:
			was := l.returned[id]
			delete(l.returned, id)
			return was
		}
	}
}

// connect opens a channel on a connection of its own; wire may be nil.
func connect(uri string, wire func(net.Conn) net.Conn) (*amqp.Connection, *amqp.Channel, error) {
	config := amqp.Config{Heartbeat: 10 * time.Second}
	if wire != nil {
		config.Dial = func(network, address string) (net.Conn, error) {
			conn, err := amqp.DefaultDial(10*time.Second)(network, address)
			if err != nil {
				return nil, err
			}
			return wire(conn), nil
		}
	}
	conn, err := amqp.DialConfig(uri, config)
	if err != nil {
		return nil, nil, err
	}
	ch, err := conn.Channel()
	if err != nil {
		_ = conn.CloseDeadline(time.Now().Add(time.Second))
		return nil, nil, err
	}
	return conn, ch, nil
}

// read hands the letters of a queue to take, and acknowledges each when that returns,
// until ctx ends. A lost connection is made again.
func (p *amqpPeer) read(ctx context.Context, queue string, take func(letter)) {
	for ctx.Err() == nil {
		_ = p.readOnce(ctx, queue, take)    // by the next try, or never
		_ = wait(ctx, 100*time.Millisecond) // the loop looks at ctx
	}
}

// readOnce returns when the connection is lost, or ctx ends.
func (p *amqpPeer) readOnce(ctx context.Context, queue string, take func(letter)) error {
	conn, ch, err := connect(p.uri, nil)
	if err != nil {
		return err
	}
	defer func() { _ = conn.CloseDeadline(time.Now().Add(5 * time.Second)) }()
	if err := ch.Qos(500, 0, false); err != nil {
		return err
	}
	deliveries, err := ch.ConsumeWithContext(ctx, queue, "", false, false, false, false, nil)
	if err != nil {
		return err
	}
	for d := range deliveries {
		take(letterOf(d))
		if err := d.Ack(false); err != nil {
			return err
		}
	}
	return nil
}

func letterOf(d amqp.Delivery) letter {
	return letter{
		id: d.MessageId, correl: d.CorrelationId, replyTo: d.ReplyTo,
		headers: d.Headers, body: string(d.Body), again: d.Redelivered,
	}
}
