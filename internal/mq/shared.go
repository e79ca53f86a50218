package mq

import (
	"context"
	"sync"
	"time"

	"mqgateway/internal/flow"
)

// SharedReplies are reply queues that all instances of a gateway read together.
// Whoever takes a reply that is not its own gives it to its owner: to the one that the
// reply names, else to all of them, and acknowledges it only then; see replyGroup.
// Run keeps the queues read.
type SharedReplies struct {
	requester *Requester
	options   SharedOptions
	questions *questions
	wake      chan struct{} // has room for one word that there is something to open

	mu     sync.Mutex // guards groups, and what they say it does
	groups map[string]*replyGroup
}

// SharedOptions say how replies are shared.
type SharedOptions struct {
	// Queue takes the replies of requests that name no reply queue; empty where each
	// has to name one.
	Queue string
	// Kind is how Queue is declared, OwnKind how a queue that a request names is.
	Kind, OwnKind QueueKind
	// Everywhere has requests name no manager for their replies, and sends them only
	// while replies are read on every manager that is there.
	Everywhere bool
	// Selector is the header of requests, and of their replies, that names the instance;
	// empty for none.
	Selector, Instance string
	// Allow tells why a request may not name that reply queue; nil when it may.
	Allow func(queue string) error
	// Replies gives a reply to its caller. It ends in [Requester.Take].
	Replies flow.Handler
	// UnclaimedKind is how queues for replies that nobody claims are declared, and
	// UnclaimedTTL how long they stay there.
	UnclaimedKind QueueKind
	UnclaimedTTL  time.Duration
	// Listener is how queues are read, but for the concurrency.
	Listener ListenerOptions
}

const (
	// maxOpenQueues bounds the reply queues of callers that are read at a time.
	maxOpenQueues = 64
	// idleQueue is how long a reply queue of callers is read without a request or a reply.
	idleQueue = 10 * time.Minute
	// idleCheck is how often that is looked at.
	idleCheck = time.Minute
)

// Shared has replies come by queues that all instances share, on every manager. Its
// Run has to be called.
func (r *Requester) Shared(o SharedOptions) *SharedReplies {
	r.shared = &SharedReplies{
		requester: r, options: o, questions: newQuestions(r.options.Log),
		wake: make(chan struct{}, 1), groups: map[string]*replyGroup{},
	}
	if o.Queue != "" {
		r.shared.groups[o.Queue] = newReplyGroup(r.shared, o.Queue)
	}
	return r.shared
}

// Run reads the reply queues, opens those that callers name, and closes them when they
// are idle, until ctx ends.
func (s *SharedReplies) Run(ctx context.Context) error {
	var running sync.WaitGroup
	defer running.Wait()
	ticker := time.NewTicker(idleCheck)
	defer ticker.Stop()
	for {
		for _, g := range s.unstarted() {
			running.Go(func() { g.run(ctx) })
		}
		select {
		case <-s.wake:
		case <-ticker.C:
			s.closeIdle()
		case <-ctx.Done():
			return nil
		}
	}
}

// ready tells that a request could be sent now, and its reply be read.
func (s *SharedReplies) ready() bool {
	if s.options.Queue == "" {
		return s.requester.managers.Available()
	}
	s.mu.Lock()
	g := s.groups[s.options.Queue]
	s.mu.Unlock()
	return anyReady(g.over.routes)
}

// use returns the ways to send a request whose replies come by its reply queue, which
// is opened when it is not. The queue is in use until done is called.
func (s *SharedReplies) use(in *flow.Message) (over *balancer, done func(), err error) {
	queue, err := s.queueOf(in)
	if err != nil {
		return nil, nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.groups[queue]
	if g == nil {
		if len(s.groups) >= maxOpenQueues {
			return nil, nil, flow.Errorf(flow.Overloaded, "replies to %q can't be read: %d reply queues are open already", queue, len(s.groups))
		}
		g = newReplyGroup(s, queue)
		s.groups[queue] = g
		select {
		case s.wake <- struct{}{}:
		default: // Run looks at all of them.
		}
	}
	g.users++
	return &g.over, func() { s.release(g) }, nil
}

func (s *SharedReplies) release(g *replyGroup) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g.users--
	g.touch()
}

// queueOf is the reply queue of a request.
func (s *SharedReplies) queueOf(in *flow.Message) (string, error) {
	switch {
	case in.ReplyTo == "" && s.options.Queue == "":
		return "", flow.Errorf(flow.BadMessage, "message %q names no reply queue (ReplyToQ), and mq.syncReceiver.defaultReceiveQueue is not set", in.ID)
	case in.ReplyTo == "", in.ReplyTo == s.options.Queue:
		return s.options.Queue, nil
	default:
		return in.ReplyTo, s.options.Allow(in.ReplyTo)
	}
}

// unstarted are the queues that nobody runs yet.
func (s *SharedReplies) unstarted() []*replyGroup {
	s.mu.Lock()
	defer s.mu.Unlock()
	var fresh []*replyGroup
	for _, g := range s.groups {
		if !g.started {
			g.started = true
			fresh = append(fresh, g)
		}
	}
	return fresh
}

// closeIdle ends the reading of queues that callers named and use no more, or may not
// name any more: what comes there now is no reply.
func (s *SharedReplies) closeIdle() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, g := range s.groups {
		over := g.idle() >= idleQueue || s.options.Allow(name) != nil
		if name != s.options.Queue && g.users == 0 && g.started && over {
			delete(s.groups, name)
			close(g.idled)
		}
	}
}
