package main

import (
	"context"
	"time"

	"mqgateway/internal/config"
	"mqgateway/internal/mq"
)

// requests are what synchronous calls of microservices need: the requester, and
// what reads its replies. The readers run until the last call has ended.
type requests struct {
	requester *mq.Requester
	readers   []func(context.Context) error
}

// newRequests is nil for a gateway that serves no synchronous calls.
func newRequests(f *flows) *requests {
	if !f.cfg.ServesSync() {
		return nil
	}
	r := &requests{requester: mq.NewRequester(f.managers, mq.RequesterOptions{
		Tag: mq.Tag(f.cfg.MQ.Instance), Wait: f.cfg.MQ.SyncReceiver.MaxProcessingTime, Patience: f.cfg.MQ.Connection.ConfirmTimeout,
		Unclaimed: unclaimed(f.cfg), Log: f.log, Metrics: f.metrics,
	})}
	replies := f.replies(r.requester)
	for _, m := range f.managers.All() {
		if f.cfg.MQ.SyncReceiver.ReplyToMode == config.ReplyDirect {
			r.readers = append(r.readers, r.requester.Direct(m, replies).Run)
			continue
		}
		queue := replyQueue(f)
		listener := f.listener(m, queue, replies)
		r.requester.Unique(m, queue.Name, listener)
		r.readers = append(r.readers, listener.Run)
	}
	return r
}

// ready tells that requests can be sent, or that none have to be.
func (r *requests) ready() bool { return r == nil || r.requester.Ready() }

// minExpiry keeps the reply queue of an instance that is gone for a while: it may
// only be cut off, and come back for its replies.
const minExpiry = 30 * time.Minute

// replyQueue is made for this instance, and goes when it has been gone for long.
func replyQueue(f *flows) mq.Queue {
	q := f.queue(f.cfg.ReplyQueue())
	q.Kind = mq.Classic
	q.Expires = max(minExpiry, 2*f.cfg.MQ.SyncReceiver.MaxProcessingTime)
	return q
}

// unclaimed takes the replies that nobody here asked for. Direct reply addresses
// need none: nobody else knows them.
func unclaimed(cfg config.Config) *mq.DeadLetters {
	if cfg.MQ.SyncReceiver.ReplyToMode == config.ReplyDirect {
		return nil
	}
	return &mq.DeadLetters{
		Queue: cfg.ReplyQueue() + ".UNCLAIMED", Kind: deadLetterKind(cfg.MQ.Failure.Declare), Instance: cfg.MQ.Instance,
	}
}
