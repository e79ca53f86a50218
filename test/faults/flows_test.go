package faults

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/status"

	pb "mqgateway/api/proto/gateway"
	"mqgateway/test/faults/ledger"
)

// The four flows, as the table names them, and the beginning of their ids.
const (
	inAsync  = "queue -> service"
	inSync   = "queue -> service -> queue"
	outAsync = "call -> queue"
	outSync  = "call -> queue -> reply"
)

var prefixes = map[string]string{inAsync: "in", inSync: "ask", outAsync: "out", outSync: "call"}

// callLimit is how long a caller waits.
const callLimit = 30 * time.Second

// callers call replicas in turn.
type callers struct {
	conns []*grpc.ClientConn
	turn  atomic.Int64
}

// next is the next one that is connected, else the next one.
func (c *callers) next() *grpc.ClientConn {
	turn := int(c.turn.Add(1))
	for i := range c.conns {
		conn := c.conns[(turn+i)%len(c.conns)]
		if conn.GetState() == connectivity.Ready {
			return conn
		}
		conn.Connect()
	}
	return c.conns[turn%len(c.conns)]
}

// put sends a message of the external system.
func (w *world) put(queue, replyTo string) func(context.Context, string) error {
	return func(ctx context.Context, id string) error {
		return w.broker.put(ctx, queue, letter{id: id, replyTo: replyTo, body: w.body(id)})
	}
}

// call sends a message of a microservice. A call that failed is tried again with the
// same id, as microservices do.
func (w *world) call(ctx context.Context, id string) error {
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	heartbeat, err := pb.NewMessageAsyncChannelClient(w.callers.next()).ProcessMessage(ctx, &pb.ProtoMessage{MessageId: id, Body: w.body(id)})
	if err != nil {
		return toldBy(err)
	}
	if heartbeat.GetMessageId() != id {
		w.books[outAsync].Complain("message %q was accepted as %q", id, heartbeat.GetMessageId())
	}
	return nil
}

// toldBy tells errors that stay from those that may pass.
func toldBy(err error) error {
	switch status.Code(err) {
	case codes.Unavailable, codes.DeadlineExceeded, codes.Canceled, codes.ResourceExhausted, codes.Aborted:
		return err
	default:
		return fmt.Errorf("%w: %w", errTold, err)
	}
}

// ask sends a request of a microservice and waits for its reply. One that fails is not
// tried again, since it may have been handled, unless the gateway was stopping.
func (w *world) ask(ctx context.Context, id string) error {
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	book := w.books[outSync]
	reply, err := pb.NewMessageSyncChannelClient(w.callers.next()).ProcessMessage(ctx, &pb.ProtoMessage{MessageId: id, Body: w.body(id)})
	switch {
	case codeOf(err) == "607":
		return err // it was not begun
	case status.Code(err) == codes.Unavailable || status.Code(err) == codes.DeadlineExceeded:
		return fmt.Errorf("%w: %w", errTold, err)
	case err != nil:
		book.Complain("request %q failed with %v", id, err)
		return fmt.Errorf("%w: %w", errTold, err)
	case idOf(reply.GetBody()) != id:
		book.Complain("request %q was answered with %q", id, reply.GetBody())
	}
	book.Meet(id, ledger.Answered, reply.GetMessageId())
	return nil
}

// served writes down what reaches the service.
func (w *world) served(in *pb.ProtoMessage) {
	id := idOf(in.GetBody())
	if book := w.owner(id); book != nil {
		book.Meet(id, ledger.Delivered, in.GetMessageId())
	}
}

// owner is the book of an id.
func (w *world) owner(id string) *ledger.Book {
	for _, book := range w.books {
		if book.Owns(id) {
			return book
		}
	}
	w.complain("a message with the id %q is nobody's", id)
	return nil
}

// answered writes down the answers of the service.
func (w *world) answered(l letter) {
	id, book := idOf(l.body), w.books[inSync]
	if l.again && book.Has(id, ledger.Answered) {
		return
	}
	if l.correl != id {
		book.Complain("the answer to %q carries the correlation id %q", id, l.correl)
	}
	book.Meet(id, ledger.Answered, l.id)
}

// arrived writes down what reaches the external system, and answers what wants an answer.
func (w *world) arrived(ctx context.Context) func(letter) {
	return func(l letter) {
		id := idOf(l.body)
		book := w.owner(id)
		if book == nil || l.again && book.Has(id, ledger.Delivered) && l.replyTo == "" {
			return
		}
		if !l.again || !book.Has(id, ledger.Delivered) {
			book.Meet(id, ledger.Delivered, l.id)
		}
		if l.replyTo != "" {
			w.running.Go(func() { w.reply(ctx, l) })
		}
	}
}

// reply answers a request after a moment.
func (w *world) reply(ctx context.Context, l letter) {
	if wait(ctx, between(w.replyPause[0], w.replyPause[1])) != nil {
		return
	}
	for range 5 {
		err := w.broker.put(ctx, l.replyTo, letter{id: "reply-to-" + l.id, correl: l.id, body: l.body})
		if err == nil || wait(ctx, 200*time.Millisecond) != nil {
			return
		}
	}
}
