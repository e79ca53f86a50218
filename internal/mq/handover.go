package mq

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"mqgateway/internal/flow"
)

// Headers of what instances leave for each other; takeBack removes them.
const (
	headerReply      = headerPrefix + "reply-"
	headerReplyKind  = headerReply + "kind"
	headerReplyTaker = headerReply + "taker" // the tag of who took the reply
	headerReplyToken = headerReply + "token" // of the question
	headerReplyState = headerReply + "state" // of the claim
)

// The kinds of what instances leave for each other.
const (
	// kindHanded is a reply for the one instance; the taker has nothing more to do with it.
	kindHanded = "handed"
	// kindQuestion is a reply for whoever knows it; the taker waits for a claim.
	kindQuestion = "question"
	// kindSpread is the same, but that the taker waits for nothing.
	kindSpread = "spread"
	// kindClaim tells the taker that a question is answered.
	kindClaim = "claim"
)

// The states of a claim.
const (
	claimWaited = "waited" // a caller has the reply
	claimLate   = "late"   // nobody waits for it any more
)

const (
	// claimWait is how long a reply is held for who claims it. It bounds how fast replies
	// that nobody knows leave the queue; an instance that needs longer gets the reply all
	// the same, and a copy lies aside.
	claimWait = time.Second
	// claimLife is how long a claim makes sense.
	claimLife = 10 * time.Second
)

// errGivenBack has the listener give the reply back to its queue, uncounted.
var errGivenBack = flow.Errorf(flow.BrokerFailed, "the reply goes back to its queue").WithClass(flow.Stopping)

// take is the handler of the shared queue.
func (w *sharedWay) take(ctx context.Context, in *flow.Message) (*flow.Message, error) {
	return nil, w.sort(ctx, in, w.owner(in))
}

// owner is the tag of the other instance that a reply names: by the selector, else by
// the id that the instance made; empty for none.
func (w *sharedWay) owner(in *flow.Message) string {
	r := w.group.shared.requester
	tag := tagOf(in.CorrelID)
	if selector := w.group.shared.options.Selector; selector != "" {
		i := slices.IndexFunc(in.Headers, func(h flow.Header) bool { return h.Name == selector })
		if i >= 0 && in.Headers[i].Text() != "" {
			tag = Tag(in.Headers[i].Text())
		}
	}
	if tag == r.options.Tag {
		return ""
	}
	return tag
}

// sort gives a reply to its caller, to its owner, or to all who may know it. nil means
// that it is safe.
func (w *sharedWay) sort(ctx context.Context, in *flow.Message, owner string) error {
	r := w.group.shared.requester
	whose, err := w.group.shared.give(ctx, in)
	if whose != replyForeign {
		w.group.touch()
	}
	switch {
	case whose == replyWaited:
		return err
	case whose == replyLate:
		r.count.replies[replyLate].Inc()
		return nil
	case owner != "":
		err = w.handOver(ctx, in, owner)
		if err == nil || errors.Is(err, errGivenBack) {
			return err
		}
		if !errors.Is(err, ErrReturned) {
			w.log.Warn("reply can't be left for its instance; all are asked", "queue", w.group.queue, "message", in.ID, "instance", owner, "err", err)
			owner = ""
		}
	}
	if whose == replyGone {
		return w.spread(ctx, in)
	}
	if claimed, err := w.ask(ctx, in); claimed || err != nil {
		return err
	}
	return w.unclaimed(ctx, in, owner)
}

// give gives a reply to its caller, when that waits here, and tells whose it is. The
// error is that of giving.
func (s *SharedReplies) give(ctx context.Context, in *flow.Message) (matched, error) {
	as := *in
	for {
		whose := s.requester.waiters.whose(in.CorrelID)
		if whose != replyWaited {
			return whose, nil
		}
		_, err := s.options.Replies(ctx, in)
		if !errors.Is(err, errMissed) {
			return replyWaited, err
		}
		*in = as // What was made of it is for the caller only.
	}
}

// handOver leaves a reply for the instance of that tag. An error other than
// errGivenBack tells that it has no queue, or can't be reached.
func (w *sharedWay) handOver(ctx context.Context, in *flow.Message, owner string) error {
	m, to := w.noted(in, kindHanded, ""), flow.Address{Key: w.group.handover(owner)}
	err := w.insist(ctx, func() error { return w.Publish(ctx, to, &m) })
	if err == nil {
		w.group.shared.requester.count.handedOver.Inc()
	}
	return err
}

// spread lets all instances have a look at a reply that is late here. A queue of theirs
// that refuses it is not waited for: hardly any such reply is waited for at all.
func (w *sharedWay) spread(ctx context.Context, in *flow.Message) error {
	m, start := w.noted(in, kindSpread, ""), time.Now()
	err := w.insist(ctx, func() error {
		err := w.broadcast(ctx, &m)
		if errors.Is(err, ErrNacked) && time.Since(start) >= claimWait {
			return nil
		}
		return err
	})
	if errors.Is(err, errGivenBack) {
		return err
	}
	w.group.shared.requester.count.replies[replyLate].Inc()
	return nil
}

// ask shows a reply to all instances and waits a while until one of them claims it.
func (w *sharedWay) ask(ctx context.Context, in *flow.Message) (claimed bool, err error) {
	s := w.group.shared
	token, claims := s.questions.open()
	defer s.questions.close(token)
	m := w.noted(in, kindQuestion, token)
	m.Persistence = flow.NonPersistent // The reply itself is safe in its queue.
	err = w.insist(ctx, func() error {
		if len(claims) > 0 {
			return nil // Its owner has it, although the broker could not give it to all.
		}
		return w.broadcast(ctx, &m)
	})
	if errors.Is(err, errGivenBack) {
		return false, err
	}
	if err != nil {
		w.log.Warn("instances can't be asked whose a reply is", "queue", w.group.queue, "message", in.ID, "correlation", in.CorrelID, "err", err)
		return false, nil
	}
	s.requester.count.asked.Inc()
	timer := time.NewTimer(claimWait)
	defer timer.Stop()
	select {
	case state := <-claims:
		if state == claimLate {
			s.requester.count.replies[replyLate].Inc()
		}
		return true, nil
	case <-timer.C:
		return false, nil
	case <-ctx.Done():
		return false, errGivenBack
	}
}

// unclaimed puts aside a reply that nobody claimed. The instance that it names may have
// been without its queue for a moment.
func (w *sharedWay) unclaimed(ctx context.Context, in *flow.Message, owner string) error {
	if owner != "" {
		if err := w.handOver(ctx, in, owner); err == nil || errors.Is(err, errGivenBack) {
			return err
		}
	}
	return w.putAside(ctx, in)
}

// broadcast shows a message to all instances. A group that lost its queues, that of this
// instance among them, is joined again.
func (w *sharedWay) broadcast(ctx context.Context, m *flow.Message) error {
	b, ok := w.broker.(Broadcaster)
	if !ok {
		return ErrReturned
	}
	asked := func() error {
		start := time.Now()
		err := b.Broadcast(ctx, w.group.group(), m)
		w.note(resultOf(err), time.Since(start))
		return err
	}
	err := asked()
	if errors.Is(err, ErrReturned) && w.join(ctx) == nil {
		err = asked()
	}
	return err
}

// insist tries to publish until it is known whether the broker takes the message, but
// no longer than anybody waits for a reply. It is errGivenBack when the gateway stops.
func (w *sharedWay) insist(ctx context.Context, publish func() error) error {
	pauses, end := reconnecting(), time.Now().Add(w.group.shared.requester.options.Wait)
	for {
		err := publish()
		if err == nil || errors.Is(err, ErrReturned) || flow.CodeOf(err) == flow.BadMessage || time.Now().After(end) {
			return err
		}
		sleepUntil(ctx, min(pauses.NextBackOff(), time.Second), w.group.stopping)
		if ctx.Err() != nil || w.group.stopped() {
			return errGivenBack
		}
	}
}

func (g *replyGroup) stopped() bool {
	select {
	case <-g.stopping:
		return true
	default:
		return false
	}
}

// putAside moves a reply that no instance knows to where it can be looked at: it may
// be another system's.
func (w *sharedWay) putAside(ctx context.Context, in *flow.Message) error {
	r := w.group.shared.requester
	queue, err := w.group.unclaimed.Write(ctx, w.Manager, in, errUnclaimed)
	log := w.log.With("queue", w.group.queue, "message", in.ID, "correlation", in.CorrelID, "unclaimed", queue)
	if err != nil {
		log.Warn("reply that no instance knows can't be put aside; it goes back to its queue", "err", err)
		return w.giveBack(ctx, in)
	}
	r.count.replies[replyForeign].Inc()
	log.Warn("reply answers no request of any instance; it is put aside")
	return nil
}

// giveBack has the reply delivered again after a pause, or when the gateway stops.
func (w *sharedWay) giveBack(ctx context.Context, in *flow.Message) error {
	sleepUntil(ctx, backPause(in), w.group.stopping)
	return errGivenBack
}

// noted is a copy of a reply that is left for other instances.
func (w *sharedWay) noted(in *flow.Message, kind, token string) flow.Message {
	clean := *in
	clean.Headers = slices.DeleteFunc(slices.Clone(in.Headers), func(h flow.Header) bool { return strings.HasPrefix(h.Name, headerReply) })
	m := putAside(&clean)
	if in.Persistence == flow.NonPersistent {
		m.Persistence = in.Persistence // It was never safer.
	}
	m.Headers = append(m.Headers, flow.Header{Name: headerReplyKind, Value: kind},
		flow.Header{Name: headerReplyTaker, Value: w.group.shared.requester.options.Tag})
	if token != "" {
		m.Headers = append(m.Headers, flow.Header{Name: headerReplyToken, Value: token})
	}
	return m
}
