package main

import (
	"time"

	"mqgateway/internal/config"
	"mqgateway/internal/mq"
)

// requests are what synchronous calls of microservices need: the requester, and
// what reads its replies. The readers run until the last call has ended.
type requests struct {
	requester *mq.Requester
	readers   runs
}

// newRequests has nothing in it for a gateway that serves no synchronous calls.
func newRequests(s *sources) *requests {
	if !s.cfg.ServesSync() {
		return &requests{}
	}
	r := &requests{requester: mq.NewRequester(s.managers, mq.RequesterOptions{
		Tag: mq.Tag(s.cfg.MQ.Instance), Wait: s.cfg.MQ.SyncReceiver.MaxProcessingTime, Patience: s.cfg.MQ.Connection.ConfirmTimeout,
		Unclaimed: unclaimed(s.cfg), Log: s.log, Metrics: s.metrics,
	})}
	s.requester = r.requester
	replies := s.now.handler(replyToRequest)
	if s.cfg.SharesReplies() {
		r.readers = append(r.readers, r.requester.Shared(sharedReplies(s)).Run)
		return r
	}
	for _, m := range s.managers.All() {
		if s.cfg.MQ.SyncReceiver.ReplyToMode == config.ReplyDirect {
			r.readers = append(r.readers, r.requester.Direct(m, replies).Run)
			continue
		}
		queue := replyQueue(s)
		listener := s.listener(m, queue, replies, s.replies())
		r.requester.Unique(m, queue.Name, listener)
		r.readers = append(r.readers, listener.Run, mq.NewAlone(m, queue.Name, len(s.managers.All())).Run)
	}
	return r
}

// ready tells that requests can be sent, or that none have to be.
func (r *requests) ready() bool { return r.requester == nil || r.requester.Ready() }

// minExpiry keeps the reply queue of an instance that is gone for a while: it may
// only be cut off, and come back for its replies.
const minExpiry = 30 * time.Minute

// replyQueue is made for this instance, and goes when it has been gone for long.
func replyQueue(s *sources) mq.Queue {
	q := s.queue(s.cfg.ReplyQueue())
	q.Kind = mq.Classic
	q.Expires = max(minExpiry, 2*s.cfg.MQ.SyncReceiver.MaxProcessingTime)
	return q
}

// sharedReplies say how instances share reply queues. Those that the configuration names
// are made as receive queues are; those of callers only in the broker inside the process,
// where nobody else could.
func sharedReplies(s *sources) mq.SharedOptions {
	r := s.cfg.MQ.SyncReceiver
	o := mq.SharedOptions{
		Queue: r.DefaultReceiveQueue, Kind: declaredKind(s.cfg), Everywhere: r.ReplyToMode != config.ReplySharedSingle,
		Instance: s.cfg.MQ.Instance, Allow: s.now.allowReplyQueue, Replies: s.now.handler(replyToRequest),
		UnclaimedKind: deadLetterKind(s.cfg.MQ.Failure.Declare), UnclaimedTTL: s.cfg.MQ.Monitoring.Messages.ExpiryListener.Threshold,
		Listener: s.complete(s.replies()),
	}
	if s.cfg.MQ.Provider == config.Embedded {
		o.OwnKind = o.Kind
	}
	if r.ReplyToMode == config.ReplySharedSelector {
		o.Selector = r.SelectorName
	}
	return o
}

// unclaimed takes the replies of a queue of this instance that it did not ask for.
// Direct reply addresses need none: nobody else knows them.
func unclaimed(cfg config.Config) *mq.DeadLetters {
	if cfg.MQ.SyncReceiver.ReplyToMode != config.ReplyUnique {
		return nil
	}
	return &mq.DeadLetters{
		Queue: cfg.ReplyQueue() + ".UNCLAIMED", Kind: deadLetterKind(cfg.MQ.Failure.Declare),
		TTL: cfg.MQ.Monitoring.Messages.ExpiryListener.Threshold, Instance: cfg.MQ.Instance,
	}
}
