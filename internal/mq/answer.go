package mq

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"mqgateway/internal/flow"
)

// Answerer makes a listener answer: it publishes the reply that a service gave to
// a request, and only then lets the request be acknowledged.
type Answerer struct {
	publisher *Publisher
	options   AnswererOptions
	log       *slog.Logger
	answered  *answered
}

// AnswererOptions are what an answerer needs.
type AnswererOptions struct {
	Publisher *Publisher
	Managers  *Managers
	// Failure says what becomes of replies that no queue takes.
	Failure func() *Failure
	// Flow is the name of the flow that the requests are in, for metrics.
	Flow string
	// Failed is called for each reply that no queue takes; nil is not.
	Failed  func(flow.Code)
	Log     *slog.Logger
	Metrics *Metrics
}

// NewAnswerer makes an answerer.
func NewAnswerer(o AnswererOptions) *Answerer {
	return &Answerer{publisher: o.Publisher.finishing(), options: o, log: o.Log, answered: newAnswered()}
}

// Middleware publishes the replies of next and returns none. A reply that can't be
// published now is kept in hand, and only its publishing is tried again; one
// that no queue takes goes to the dead letter queue of its request. A request that
// the broker delivers again, because its acknowledgement was lost, is not handled
// again.
func (a *Answerer) Middleware(next flow.Handler) flow.Handler {
	return func(ctx context.Context, in *flow.Message) (*flow.Message, error) {
		key := a.answered.key(in)
		leave, err := a.answered.enter(ctx, key, a.answered.memory(in))
		if leave == nil {
			return nil, err
		}
		defer leave()
		reply, err := next(ctx, in)
		if err != nil || reply == nil {
			return nil, err
		}
		if err := a.publish(ctx, in, reply); err != nil {
			return nil, err
		}
		a.answered.add(key)
		return nil, nil
	}
}

// publish tries until the reply is safe, and at once when a manager comes back.
// Meanwhile the request is away.
func (a *Answerer) publish(ctx context.Context, request, reply *flow.Message) error {
	start := time.Now()
	defer func() { request.Away += time.Since(start) }()
	pauses, level := reconnecting(), slog.LevelWarn
	for {
		changed := a.options.Managers.changed.wait()
		_, err := a.publisher.Handle(ctx, reply)
		if errors.Is(err, ErrReturned) {
			err = a.deadLetter(ctx, request, reply, err)
		}
		if err == nil || flow.ClassOf(err) == flow.Permanent {
			return err
		}
		a.log.Log(ctx, level, "reply can't be published; trying again", "message", request.ID, "queue", reply.To.String(), "code", int(flow.CodeOf(err)), "err", err)
		level = slog.LevelDebug
		if !sleepUntil(ctx, pauses.NextBackOff(), changed) {
			return flow.Errorf(flow.CodeOf(err), "stopping before the reply was published: %w", err).WithClass(flow.Stopping)
		}
	}
}

// deadLetter puts a reply that no queue takes beside the request's queue.
func (a *Answerer) deadLetter(ctx context.Context, request, reply *flow.Message, cause error) error {
	letter := *reply
	letter.Source = request.Source
	queue, err := a.options.Failure().DeadLetters.Write(ctx, a.options.Managers.byID(request.Source.Manager), &letter, cause)
	if err != nil {
		return flow.Errorf(flow.BrokerFailed, "writing a dead letter to %q: %w", queue, err)
	}
	a.options.Metrics.deadLettered(a.options.Flow, request.Source, flow.CodeOf(cause))
	if a.options.Failed != nil {
		a.options.Failed(flow.CodeOf(cause))
	}
	a.log.Error("reply is moved to the dead letter queue", "message", request.ID, "deadLetterQueue", queue, "code", int(flow.CodeOf(cause)), "err", cause)
	return nil
}
