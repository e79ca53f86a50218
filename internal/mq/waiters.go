package mq

import (
	"hash/maphash"
	"strings"
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
	// replyLate answers a request of ours that nobody waits for any more.
	replyLate
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
	gone     history
}

// sharedID is a correlation id in use. One that two requests share at a time
// matches neither, until both are gone.
type sharedID struct {
	first *waiter
	users int
	twice bool
}

func newWaiters(tag string) *waiters {
	return &waiters{tag: tag + ".", byID: map[string]*waiter{}, byCorrel: map[string]*sharedID{}, gone: newHistory(goneIDs)}
}

// goneIDs is how many ids of callers are remembered after their requests are
// gone, so that a late reply is not taken for a foreign one.
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
	ws.forget(w)
}

// forget is remove for callers that hold mu.
func (ws *waiters) forget(w *waiter) {
	if ws.byID[w.id] != w {
		return
	}
	delete(ws.byID, w.id)
	ws.remember(w.id)
	shared := ws.byCorrel[w.correlID]
	if shared == nil {
		return
	}
	if shared.users--; shared.users == 0 {
		delete(ws.byCorrel, w.correlID)
		ws.remember(w.correlID)
	}
}

// remember keeps an id that can't be told by its tag.
func (ws *waiters) remember(id string) {
	if !strings.HasPrefix(id, ws.tag) {
		ws.gone.add(id)
	}
}

// deliver gives a reply, or the reason why it can't be read, to who waits for it.
func (ws *waiters) deliver(correlID string, a answer) matched {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	w := ws.find(correlID)
	if w == nil {
		if strings.HasPrefix(correlID, ws.tag) || ws.byCorrel[correlID] != nil || ws.gone.has(correlID) {
			return replyLate
		}
		return replyForeign
	}
	ws.forget(w)
	w.answer <- a
	return replyWaited
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
			ws.forget(w)
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

// history remembers the newest texts of a number, by their hashes.
type history struct {
	seed  maphash.Seed
	known map[uint64]int // hash -> how often it is in order
	order []uint64       // a ring
	next  int
}

func newHistory(size int) history {
	return history{seed: maphash.MakeSeed(), known: map[uint64]int{}, order: make([]uint64, 0, size)}
}

func (h *history) add(text string) { h.addHash(maphash.String(h.seed, text)) }

func (h *history) has(text string) bool { return h.known[maphash.String(h.seed, text)] > 0 }

func (h *history) addHash(hash uint64) {
	h.known[hash]++
	if len(h.order) < cap(h.order) {
		h.order = append(h.order, hash)
		return
	}
	old := h.order[h.next]
	if h.known[old]--; h.known[old] == 0 {
		delete(h.known, old)
	}
	h.order[h.next] = hash
	h.next = (h.next + 1) % len(h.order)
}
