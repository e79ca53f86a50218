package mq

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"mqgateway/internal/flow"
)

// replyGroup is one shared reply queue, with what its instances exchange replies by:
// a group to which all of them can be asked something at once, and a queue of each.
type replyGroup struct {
	shared    *SharedReplies
	queue     string
	ways      []*sharedWay
	over      balancer
	unclaimed *DeadLetters

	idled    chan struct{} // closed when nobody needs it any more
	stopping chan struct{} // closed when it takes no more
	touched  atomic.Int64  // when something was last done with it

	started bool // guarded by mu of shared
	users   int  // as well: requests that wait for replies
}

const (
	// inHand bounds the replies of a shared queue that are taken and not settled, on each
	// manager. One that has to be asked for is held for [claimWait] at most, so that half
	// a thousand foreign ones a second leave the way free for others; inHandOwn is that
	// of queues that callers name.
	inHand, inHandOwn = 512, 128
	// rejoining is how often a binding that somebody removed is put back.
	rejoining = 30 * time.Second
	// joinTime bounds one try.
	joinTime = 10 * time.Second
	// minHandoverExpiry keeps the queue of an instance over a short loss of its connection.
	minHandoverExpiry = time.Minute
)

func newReplyGroup(s *SharedReplies, queue string) *replyGroup {
	r := s.requester
	g := &replyGroup{
		shared: s, queue: queue, over: balancer{changed: &r.managers.changed, patience: r.options.Patience},
		unclaimed: &DeadLetters{
			Queue: queue + ".UNCLAIMED", Kind: s.options.UnclaimedKind, TTL: s.options.UnclaimedTTL, Instance: s.options.Instance,
		},
		idled: make(chan struct{}), stopping: make(chan struct{}),
	}
	g.touch()
	for _, m := range r.managers.all {
		w := newSharedWay(g, m)
		g.ways = append(g.ways, w)
		g.over.routes = append(g.over.routes, w)
	}
	return g
}

// run reads the queue on every manager until ctx ends or it is idle. What other
// instances leave is read longer than replies are taken, since claims come by it.
func (g *replyGroup) run(ctx context.Context) {
	count := g.shared.requester.count.queues
	count.Inc()
	defer count.Dec()
	hearing, hearNoMore := context.WithCancel(context.WithoutCancel(ctx))
	defer hearNoMore()
	taking, takeNoMore := context.WithCancel(ctx)
	defer takeNoMore()
	var hearers, takers sync.WaitGroup
	for _, w := range g.ways {
		takers.Go(func() { _ = w.replies.Run(taking) })
		hearers.Go(func() { _ = w.handed.Run(hearing) })
		hearers.Go(func() { w.stayJoined(hearing) })
		hearers.Go(func() { _ = NewAlone(w.Manager, w.handover().Name, len(g.ways)).Run(hearing) })
	}
	select {
	case <-ctx.Done():
	case <-g.idled:
		g.shared.requester.options.Log.Info("reply queue is idle, or may not be named any more; it is read no more", "queue", g.queue)
	}
	close(g.stopping)
	takeNoMore()
	takers.Wait()
	hearNoMore()
	hearers.Wait()
	for _, w := range g.ways {
		g.shared.options.Listener.Metrics.forget(w.replies, w.handed)
	}
}

func (g *replyGroup) touch() { g.touched.Store(time.Now().UnixNano()) }

func (g *replyGroup) idle() time.Duration { return time.Since(time.Unix(0, g.touched.Load())) }

// group is the name under which all instances can be asked.
func (g *replyGroup) group() string { return g.queue + ".GW" }

// handover is the queue in which others leave something for the instance of that tag.
func (g *replyGroup) handover(tag string) string { return g.group() + "." + tag }

// sharedWay is a shared reply queue on one manager.
type sharedWay struct {
	*Manager
	group *replyGroup
	// replies reads the shared queue, handed what other instances leave for this one.
	replies, handed *Listener
}

func newSharedWay(g *replyGroup, m *Manager) *sharedWay {
	w := &sharedWay{Manager: m, group: g}
	s := g.shared
	kind, many := s.options.OwnKind, inHandOwn
	if g.queue == s.options.Queue {
		kind, many = s.options.Kind, inHand
	}
	options := s.options.Listener
	options.Concurrency, options.Replies = many, true
	w.replies = NewListener(m, Queue{Name: g.queue, Prefetch: many, Kind: kind}, w.take, options)
	options.Prepare = w.join
	w.handed = NewListener(m, Queue{Name: w.handover().Name, Prefetch: many}, w.receive, options)
	return w
}

// handover is the queue in which others leave something for this instance. What lies
// there has no waiter any more when the time of requests is over.
func (w *sharedWay) handover() Queue {
	wait := w.group.shared.requester.options.Wait
	return Queue{
		Name: w.group.handover(w.group.shared.requester.options.Tag), Kind: Classic,
		TTL: wait, Expires: max(minHandoverExpiry, 2*wait),
	}
}

// join makes the queue of this instance, and lets it hear what all are asked.
func (w *sharedWay) join(ctx context.Context) error {
	b, ok := w.broker.(Broadcaster)
	if !ok {
		return fmt.Errorf("the broker can't ask all instances that read %q (mq.syncReceiver.replyToMode)", w.group.queue)
	}
	if err := b.Join(ctx, w.group.group(), w.handover()); err != nil {
		return fmt.Errorf("joining the instances that read %q (which takes the rights configure, write and read on %s\\.GW.*): %w",
			w.group.queue, regexp.QuoteMeta(w.group.queue), err)
	}
	return nil
}

// stayJoined joins again from time to time, in case that somebody removed the group.
func (w *sharedWay) stayJoined(ctx context.Context) {
	for sleep(ctx, rejoining) {
		if !w.handed.Subscribed() {
			continue // Its listener joins.
		}
		within, cancel := context.WithTimeout(ctx, joinTime)
		if err := w.join(within); err != nil && ctx.Err() == nil {
			w.log.Warn("replies of this instance may stay with others", "queue", w.group.queue, "err", err)
		}
		cancel()
	}
}

func (w *sharedWay) manager() *Manager { return w.Manager }

// ready tells why no request can be sent that way now; nil when one can.
func (w *sharedWay) ready() error {
	if err := w.Manager.ready(); err != nil {
		return err
	}
	if !w.read() {
		return fmt.Errorf("%w from %q", errRepliesUnread, w.group.queue)
	}
	if !w.group.shared.options.Everywhere {
		return nil
	}
	for _, other := range w.group.ways {
		if other.aboutToRead() {
			return fmt.Errorf("%w from %q on manager %q", errRepliesUnread, w.group.queue, other.id)
		}
	}
	return nil
}

// aboutToRead tells that the manager has just come up, and that replies are soon read
// there. One where they still are not after a while does not hold up the others: what
// comes there waits in its queue.
func (w *sharedWay) aboutToRead() bool {
	return w.State().Status != Down && !w.Disabled() && !w.read() && w.load.lasts() < w.group.shared.requester.options.Patience
}

// read tells that replies of this instance reach it.
func (w *sharedWay) read() bool { return w.replies.Subscribed() && w.handed.Subscribed() }

func (w *sharedWay) send(ctx context.Context, _ *waiter, m *flow.Message) error {
	o := w.group.shared.options
	request := *m
	request.ReplyTo, request.ReplyToManager = w.group.queue, w.id
	if o.Everywhere {
		request.ReplyToManager = ""
	}
	if o.Selector != "" {
		request.Headers = slices.DeleteFunc(slices.Clone(m.Headers), func(h flow.Header) bool { return h.Name == o.Selector })
		request.Headers = append(request.Headers, flow.Header{Name: o.Selector, Value: o.Instance})
	}
	return w.Publish(ctx, m.To, &request)
}
