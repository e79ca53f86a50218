package mq

import (
	"sync"

	"mqgateway/internal/flow"
)

// waiter is a caller that waits for a reply.
type waiter struct {
	id, correlID string
	// via is what the request was sent through, for those who lose it.
	via any
	// answer gets the reply, or why there is none; it has room for one.
	answer chan answer
}

// answered tells that it need not wait any more. A nil waiter is nobody who waits.
func (w *waiter) answered() bool { return w != nil && len(w.answer) > 0 }

// answer is what a waiter gets.
type answer struct {
	reply *flow.Message
	err   error
}

// matched tells whose a reply is.
type matched uint8

const (
	// replyWaited has a waiter, which got it.
	replyWaited matched = iota
	// replyLate answers a request of ours that ended without a reply.
	replyLate
	// replyGone answers a request that was ours, but its id may have been used again
	// by another instance's: it has its reply already, or its caller chose the id.
	replyGone
	// replyForeign answers no request of ours.
	replyForeign
)

// waiters are the callers that wait for replies. A reply belongs to the request
// whose message id is its correlation id (the habit of MQ), else to the one with
// the same correlation id (the habit of RPC over RabbitMQ).
type waiters struct {
	tag string // begins every id that this instance makes

	mu       sync.Mutex // guards the rest
	byID     map[string]*waiter
	byCorrel map[string]*sharedID
	// expired are ids of requests that ended without a reply, answered those of
	// callers whose requests had one.
	expired, answered history
}

// sharedID is a correlation id in use. One that two requests share at a time
// matches neither, until both are gone.
type sharedID struct {
	first *waiter
	users int
	twice bool
}

func newWaiters(tag string) *waiters {
	return &waiters{
		tag: tag, byID: map[string]*waiter{}, byCorrel: map[string]*sharedID{},
		expired: newHistory(goneIDs), answered: newHistory(goneIDs),
	}
}

// goneIDs is how many ids are remembered after their requests are gone, so that a
// late reply is not taken for a foreign one.
const goneIDs = 1 << 17

// add registers a request before it is sent. Its message id must not be in use.
func (ws *waiters) add(m *flow.Message) (*waiter, error) {
	w := &waiter{id: m.ID, correlID: m.CorrelID, answer: make(chan answer, 1)}
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if _, used := ws.byID[w.id]; used {
		return nil, flow.Errorf(flow.BadMessage, "messageId %q is that of a request that still waits for its reply", w.id)
	}
	ws.byID[w.id] = w
	if w.correlID == "" {
		return w, nil
	}
	shared := ws.byCorrel[w.correlID]
	if shared == nil {
		shared = &sharedID{first: w}
		ws.byCorrel[w.correlID] = shared
	}
	shared.users++
	shared.twice = shared.users > 1 || shared.twice
	return w, nil
}

// remove forgets a request; what comes for it from now on is late. It is safe to
// remove one twice.
func (ws *waiters) remove(w *waiter) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	ws.forget(w, false)
}

// forget is remove for callers that hold mu.
func (ws *waiters) forget(w *waiter, answered bool) {
	if ws.byID[w.id] != w {
		return
	}
	delete(ws.byID, w.id)
	ws.remember(w.id, answered)
	shared := ws.byCorrel[w.correlID]
	if shared == nil {
		return
	}
	if shared.users--; shared.users == 0 {
		delete(ws.byCorrel, w.correlID)
		ws.remember(w.correlID, answered)
	}
}

// remember keeps the id of a request that is gone, unless its tag tells enough.
func (ws *waiters) remember(id string, answered bool) {
	switch {
	case !answered:
		ws.expired.add(id)
	case !ws.made(id):
		ws.answered.add(id)
	}
}

// made tells that this instance made the id.
func (ws *waiters) made(id string) bool { return tagOf(id) == ws.tag }

// deliver gives a reply, or the reason why it can't be read, to who waits for it.
func (ws *waiters) deliver(correlID string, a answer) matched {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	w := ws.find(correlID)
	if w == nil {
		return ws.past(correlID)
	}
	ws.forget(w, a.err == nil)
	w.answer <- a
	return replyWaited
}

// whose tells what deliver would do.
func (ws *waiters) whose(correlID string) matched {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if ws.find(correlID) != nil {
		return replyWaited
	}
	return ws.past(correlID)
}

// past tells whose a reply is that nobody waits for here. A caller has heard of an id
// that we made only when it had its reply: only then can the id be used again.
func (ws *waiters) past(correlID string) matched {
	made := ws.made(correlID)
	switch expired := ws.expired.has(correlID); {
	case ws.byCorrel[correlID] != nil, made && expired:
		return replyLate
	case made, expired, ws.answered.has(correlID):
		return replyGone
	default:
		return replyForeign
	}
}

func (ws *waiters) find(correlID string) *waiter {
	if w := ws.byID[correlID]; w != nil {
		return w
	}
	shared := ws.byCorrel[correlID]
	if shared == nil || shared.twice {
		return nil
	}
	return shared.first
}

// lose fails everybody whose request went through via.
func (ws *waiters) lose(via any, err error) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	for _, w := range ws.byID {
		if w.via == via {
			ws.forget(w, false)
			w.answer <- answer{err: err}
		}
	}
}

// sentBy notes what a request is sent through.
func (ws *waiters) sentBy(w *waiter, via any) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	w.via = via
}
