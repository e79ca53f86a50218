package mq

import (
	"context"
	"errors"
	"time"

	"mqgateway/internal/flow"
)

// Broker is one broker as a driver serves it: a node or a cluster, reached at
// one or more addresses. Its methods may be called by many goroutines at once.
//
// A driver dials when it has to and tries once: whoever calls it retries. It
// never logs; it reports what becomes of its connections by States. What
// belongs to a connection (a subscription, a delivery) ends with it and is
// never carried over to the next one.
type Broker interface {
	// Check opens what publishing needs, where it is not open, and asks the
	// broker for an answer on it. It blocks until ctx ends at most.
	Check(ctx context.Context) error
	// Subscribe starts to read a queue. It returns an error that wraps
	// [ErrNoQueue] when the queue is missing and q.Kind does not let it make it.
	Subscribe(ctx context.Context, q Queue) (Subscription, error)
	// Publish returns nil once the broker has taken responsibility for the
	// message and routed it to a queue. Otherwise the error wraps [ErrReturned],
	// [ErrNacked] or [ErrUnknown], is a [flow.Error] of code BadMessage for a
	// message that the broker can't take, or else tells that nothing was sent.
	// to.Manager is not looked at. The message is not changed.
	Publish(ctx context.Context, to flow.Address, m *flow.Message) error
	// States gives the state of the connections at each change; a state that
	// nobody read is replaced by the next. The channel is closed by Close.
	States() <-chan State
	// Close ends all connections and waits for the driver's goroutines. Calling it
	// twice is safe.
	Close() error
}

// What became of a publish that did not succeed.
var (
	// ErrReturned: the broker found no queue for the message (or no such
	// exchange), and does not have it.
	ErrReturned = errors.New("unroutable")
	// ErrNacked: the broker refused responsibility for the message.
	ErrNacked = errors.New("refused by the broker")
	// ErrUnknown: the message was sent, and no answer came. The broker may have
	// it: sending it again, with the same id, is the only safe thing to do.
	ErrUnknown = errors.New("outcome unknown")
)

// Errors of subscriptions.
var (
	// ErrNoQueue: the queue does not exist.
	ErrNoQueue = errors.New("queue does not exist")
	// ErrStale: the delivery came by a connection that is gone; the broker gives
	// the message to somebody again, and nothing was settled.
	ErrStale = errors.New("delivery of a lost connection")
)

// Queue is a queue to read, or to make.
type Queue struct {
	Name string
	// Prefetch bounds the deliveries that are out unsettled, from 1.
	Prefetch int
	// Kind lets the driver declare the queue, durable, when it is missing. An
	// existing queue is never declared again.
	Kind QueueKind
	// Unlimited queues, when they are declared, deliver a message again however
	// often it was, where the broker would otherwise drop it at some count.
	Unlimited bool
	// Expires lets the queue, when it is declared, go after nobody has read it for so
	// long, where the broker can do that; 0 keeps it.
	Expires time.Duration
	// TTL lets messages go, when the queue is declared, that lie in it for so long; 0
	// keeps them.
	TTL time.Duration
}

// QueueKind is the kind of a queue that the gateway may declare.
type QueueKind string

// The kinds of queue. A broker that has one kind only takes both.
const (
	// Existing queues are attached to; a missing one is an error.
	Existing QueueKind = ""
	Classic  QueueKind = "classic"
	Quorum   QueueKind = "quorum"
)

// Subscription is one reader of a queue on one connection.
type Subscription interface {
	// Receive waits for the next delivery. Many goroutines may wait at once. When
	// ctx ends its error is returned; any other error means that the subscription
	// is over, by a lost connection or by the broker's will.
	Receive(ctx context.Context) (*Delivery, error)
	// Lost is closed when the connection is gone: nothing can be settled any more. It
	// tells those who have no need to receive.
	Lost() <-chan struct{}
	// Cancel stops the broker from sending more; deliveries that it sent already
	// can still be received, after them Receive returns [ErrCancelled]. Deliveries
	// in hand can be settled until Close.
	Cancel(ctx context.Context) error
	// Close flushes what was settled and ends the subscription; unsettled messages go
	// back to the queue. Calling it twice, or after the connection went, is safe.
	Close() error
}

// ErrCancelled ends receiving on a subscription that was cancelled by Cancel.
var ErrCancelled = errors.New("subscription is cancelled")

// Outcome is what the reader of a message wants the broker to do with it.
type Outcome uint8

// The outcomes.
const (
	// Ack: done, forget the message.
	Ack Outcome = iota
	// Retry: handling failed, deliver it again; the broker may count it.
	Retry
	// Return: handling was not begun or not finished, for no fault of the message;
	// deliver it again without counting, where the broker can tell the difference.
	Return
	// Reject: never deliver it again; the broker's own dead-lettering applies.
	Reject
)

// String names the outcome for logs and tests.
func (o Outcome) String() string {
	return [...]string{"ack", "retry", "return", "reject"}[o]
}

// Delivery is one message as it was delivered. It is settled once, on the
// subscription that it came by, or not at all.
type Delivery struct {
	// Message is the message as it was sent.
	Message flow.Message
	// Tag is the driver's own mark.
	Tag uint64
	// Settler is the subscription that the delivery came by.
	Settler Settler
}

// Settler is the side of a subscription that takes outcomes.
type Settler interface {
	// Settle returns an error that wraps [ErrStale] when the connection of d is
	// gone. An ack may be held back for a moment to be sent with others; the other
	// outcomes are sent at once.
	Settle(d *Delivery, o Outcome) error
}

// Settle tells the broker what to do with the message.
func (d *Delivery) Settle(o Outcome) error { return d.Settler.Settle(d, o) }

// State is the state of a broker's connections as a driver sees it.
type State struct {
	Status Status
	// Err is why the status is not Up; nil after an orderly end.
	Err error
}

// Status is a state in one word.
type Status uint8

// The states of a connection.
const (
	// Down: there is no connection for publishing.
	Down Status = iota
	// Up: messages can be published.
	Up
	// Blocked: the broker is short of a resource and takes no messages now;
	// reading goes on.
	Blocked
)

// String names the status for logs, metrics and health.
func (s Status) String() string { return [...]string{"down", "up", "blocked"}[s] }

// Declarer is a broker that can make queues.
type Declarer interface {
	// Declare looks the queue up and makes it, durable and of q.Kind, when it is
	// missing. With q.Kind Existing a missing queue is [ErrNoQueue].
	Declare(ctx context.Context, q Queue) error
}

// Prober is a broker that can be checked beside its connections.
type Prober interface {
	// Probe opens a connection of its own, asks the broker for an answer on it, and
	// closes it. It blocks until ctx ends at most.
	Probe(ctx context.Context) error
}

// Delayer is a broker that can hold a message back, outside of this process.
type Delayer interface {
	// PublishLater is as [Broker.Publish] to a queue that exists, but the message comes
	// there only after the delay, with [flow.Source].Delayed set. It is kept as safely
	// meanwhile as it would be in the queue, and comes back whatever becomes of this
	// process. The message that comes is the one that was given, with the Exchange and
	// RoutingKey of its Source. A broker may need an object for each length of delay:
	// callers use few.
	// An error that wraps [ErrNoDelay] means that this broker can't do it now, and that
	// nothing was sent; m.Expiry must be 0.
	PublishLater(ctx context.Context, queue string, delay time.Duration, m *flow.Message) error
}

// ErrNoDelay tells that the broker can't hold messages back, by its version or by
// the permissions of our user.
var ErrNoDelay = errors.New("messages can't be held back")

// Broadcaster is a broker on which one message reaches the queues of a whole group,
// such as a fan-out exchange with queues bound to it.
type Broadcaster interface {
	// Join declares the group and the queue where they are missing, and lets the queue
	// have a copy of all that is broadcast to the group from now on. Joining twice is
	// joining once.
	Join(ctx context.Context, group string, q Queue) error
	// Broadcast is as [Broker.Publish] to all queues of the group: nil means that each
	// of them has the message. A group without queues, or one that does not exist, is
	// [ErrReturned].
	Broadcast(ctx context.Context, group string, m *flow.Message) error
}

// Admin is a broker that tells about queues and empties them.
type Admin interface {
	// Inspect returns an error that wraps [ErrNoQueue] for a missing queue.
	Inspect(ctx context.Context, queue string) (QueueInfo, error)
	// Purge removes the messages that nobody has in hand and returns their number. A
	// missing queue is an error that wraps [ErrNoQueue].
	Purge(ctx context.Context, queue string) (int, error)
}

// QueueInfo is what a broker tells of a queue.
type QueueInfo struct {
	// Messages wait for delivery; those in hand of somebody are not counted.
	Messages int
	// Consumers read the queue now, 0 where the broker does not tell.
	Consumers int
}

// Inboxer is a broker with reply addresses that need no queue.
type Inboxer interface {
	// OpenInbox opens a reply address on the connection for publishing. It blocks until
	// ctx ends at most.
	OpenInbox(ctx context.Context) (Inbox, error)
}

// Inbox is a reply address that lasts as long as its connection. Replies come at
// most once: what is on its way when the inbox is lost is gone. Its methods may be
// called by many goroutines at once.
type Inbox interface {
	// Address is the reply-to of requests that are published by Publish.
	Address() string
	// Publish is as [Broker.Publish], on the inbox's own channel.
	Publish(ctx context.Context, to flow.Address, m *flow.Message) error
	// Receive waits for the next reply. When ctx ends its error is returned; any other
	// error means that the inbox is lost.
	Receive(ctx context.Context) (*flow.Message, error)
	// Close ends the inbox. Calling it twice, or after the connection went, is safe.
	Close() error
}
