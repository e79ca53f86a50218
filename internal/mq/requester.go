package mq

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"mqgateway/internal/flow"
)

// Requester is the target that sends a request to a queue and waits for its
// reply. Replies come back by a reply queue of this instance ([Requester.Unique]), by
// a direct reply address ([Requester.Direct]) of each manager, or by queues that all
// instances share ([Requester.Shared]).
type Requester struct {
	managers *Managers
	options  RequesterOptions
	waiters  *waiters
	over     balancer
	shared   *SharedReplies // nil where replies come another way
	count    requesterCounts
}

// RequesterOptions are what a requester needs beside its managers.
type RequesterOptions struct {
	// Tag begins every id that this instance makes; see [Tag].
	Tag string
	// Wait bounds the time from taking a request to its reply.
	Wait time.Duration
	// Patience is how long a call waits for a manager to become available.
	Patience time.Duration
	// Unclaimed takes replies of Unique that answer no request of ours; nil drops them,
	// for direct reply addresses, where nobody else can answer.
	Unclaimed *DeadLetters
	Log       *slog.Logger
	Metrics   *Metrics
}

// NewRequester makes a requester. Its managers are added by Unique, Direct or Shared
// before the first request.
func NewRequester(managers *Managers, o RequesterOptions) *Requester {
	return &Requester{
		managers: managers, options: o, waiters: newWaiters(o.Tag), count: o.Metrics.requester(),
		over: balancer{changed: &managers.changed, patience: o.Patience},
	}
}

// Ready tells that a request could be sent now, and its reply be read.
func (r *Requester) Ready() bool {
	if r.shared != nil {
		return r.shared.ready()
	}
	return anyReady(r.over.routes)
}

// Handle sends the request to in.To and returns its reply. It is a
// [flow.Handler]. The wait ends with ctx, or after the time of the options, with
// code ReplyTimeout; an error of code BrokerFailed tells that the request was not
// sent, or that its reply can't come any more.
func (r *Requester) Handle(ctx context.Context, in *flow.Message) (*flow.Message, error) {
	over, done, err := r.routes(in)
	if err != nil {
		return nil, err
	}
	defer done()
	w, err := r.waiters.add(in)
	if err != nil {
		return nil, err
	}
	r.count.waiting.Inc()
	defer r.count.waiting.Dec()
	defer r.waiters.remove(w)
	start, away := time.Now(), in.Away
	defer func() { in.Away = away + time.Since(start) }()
	within, cancel := context.WithTimeout(ctx, r.options.Wait)
	defer cancel()
	a, err := r.exchange(within, over, w, in)
	switch {
	case err == nil:
		r.count.wait.Observe(time.Since(start).Seconds())
		return a.reply, a.err
	case within.Err() != nil && !errors.Is(err, errNotReady):
		return nil, r.timeout(ctx, in)
	default:
		return nil, err
	}
}

// routes are the ways that a request can be sent by, and its reply be read; they are
// in use until done is called.
func (r *Requester) routes(in *flow.Message) (over *balancer, done func(), err error) {
	if r.shared != nil {
		return r.shared.use(in)
	}
	return &r.over, func() {}, nil
}

// exchange sends the request and waits for its answer. A reply that came before
// the end is an answer, whatever else went wrong.
func (r *Requester) exchange(ctx context.Context, over *balancer, w *waiter, in *flow.Message) (answer, error) {
	err := over.send(ctx, w, in)
	if err == nil {
		select {
		case a := <-w.answer:
			return a, nil
		case <-ctx.Done():
			err = ctx.Err()
		}
	}
	r.waiters.remove(w) // No more is given to it.
	select {
	case a := <-w.answer:
		if a.err == nil {
			return a, nil
		}
	default:
	}
	return answer{}, err
}

// timeout tells why a wait ended.
func (r *Requester) timeout(ctx context.Context, in *flow.Message) error {
	switch err := ctx.Err(); {
	case err == nil:
		return flow.Errorf(flow.ReplyTimeout, "no reply to message %q from %q within %v (mq.syncReceiver.maxProcessingTime)", in.ID, in.To, r.options.Wait)
	case errors.Is(err, context.DeadlineExceeded):
		return flow.Errorf(flow.ReplyTimeout, "no reply to message %q from %q before the caller's deadline: %w", in.ID, in.To, err)
	default:
		return flow.Errorf(flow.ReplyTimeout, "the caller gave up waiting for the reply to message %q: %w", in.ID, err).WithClass(flow.Stopping)
	}
}

// Take is the handler of replies: it gives a reply to the caller that waits for
// it. A late reply is counted and dropped, a foreign one is put aside, since it
// may be another system's.
func (r *Requester) Take(ctx context.Context, in *flow.Message) (*flow.Message, error) {
	if len(in.Body) == 0 {
		r.options.Log.Warn("reply has no body", "message", in.CorrelID, "queue", in.Source.Queue)
	}
	return nil, r.settle(ctx, in, r.waiters.deliver(in.CorrelID, answer{reply: in}))
}

// FailUnreadable is middleware for [Requester.Take]: when a reply fails before it
// reaches Take, its caller gets the error at once.
func (r *Requester) FailUnreadable(next flow.Handler) flow.Handler {
	return func(ctx context.Context, in *flow.Message) (*flow.Message, error) {
		reply, err := next(ctx, in)
		if err != nil && flow.ClassOf(err) == flow.Permanent {
			r.waiters.deliver(in.CorrelID, answer{err: err})
		}
		return reply, err
	}
}

// errMissed tells that the caller of a reply from a shared queue was gone when the reply
// came to it; another instance may wait for the same id.
var errMissed = flow.Errorf(flow.ReplyTimeout, "the caller of the reply is gone").WithClass(flow.Stopping)

// settle counts a reply and puts a foreign one aside.
func (r *Requester) settle(ctx context.Context, in *flow.Message, whose matched) error {
	if r.shared != nil && whose != replyWaited {
		return errMissed
	}
	r.count.replies[whose].Inc()
	if whose != replyForeign {
		return nil
	}
	if r.options.Unclaimed == nil {
		r.options.Log.Warn("reply answers no request of this instance; it is dropped", "message", in.ID, "correlation", in.CorrelID)
		return nil
	}
	manager := r.managers.byID(in.Source.Manager)
	queue, err := r.options.Unclaimed.Write(ctx, manager, in, errUnclaimed)
	if err != nil {
		return flow.Errorf(flow.BrokerFailed, "moving a reply that nobody asked for to %q: %w", queue, err)
	}
	r.options.Log.Warn("reply answers no request of this instance; it is put aside", "message", in.ID, "correlation", in.CorrelID, "unclaimed", queue)
	return nil
}

// errUnclaimed is the reason that an unclaimed reply carries.
var errUnclaimed = flow.Errorf(flow.ReplyTimeout, "the reply answers no request that the gateway knows")
