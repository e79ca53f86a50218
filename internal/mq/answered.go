package mq

import (
	"context"
	"hash/maphash"
	"math"
	"sync"
	"time"

	"mqgateway/internal/flow"
)

// answered remembers requests whose replies are published or in hand, so that one
// that comes again because its acknowledgement was lost is not handled again. A
// request is told by all that its sender chose: ids alone may repeat.
type answered struct {
	seed maphash.Seed

	mu     sync.Mutex // guards the rest
	inHand map[uint64]chan struct{}
	past   history
}

const (
	// pastAnswers is how many answered requests are remembered.
	pastAnswers = 1 << 16
	// pastAnonymous is for how long that is believed of a request without an id of its
	// own: a redelivery comes soon, a later one may be another request that looks the same.
	pastAnonymous = 2 * time.Minute
)

func newAnswered() *answered {
	return &answered{seed: maphash.MakeSeed(), inHand: map[uint64]chan struct{}{}, past: newHistory(pastAnswers)}
}

// key is 0 for a request that has no id of its sender's.
func (a *answered) key(m *flow.Message) uint64 {
	if m.IDMade && m.CorrelID == "" {
		return 0
	}
	var h maphash.Hash
	h.SetSeed(a.seed)
	if !m.IDMade {
		_, _ = h.WriteString(m.ID)
	}
	for _, text := range []string{m.CorrelID, m.ReplyTo, m.Source.Queue, m.Source.Manager} {
		_ = h.WriteByte(0)
		_, _ = h.WriteString(text)
	}
	maphash.WriteComparable(&h, m.Timestamp.Unix())
	_, _ = h.Write(m.Body)
	return h.Sum64()
}

// memory is how old the answer to a request may be that makes a second one
// superfluous: 0 for a request that comes for the first time, or that was parked, and so
// was not answered.
func (a *answered) memory(m *flow.Message) time.Duration {
	switch {
	case !m.Source.Redelivered || m.Source.Delayed:
		return 0
	case m.IDMade:
		return pastAnonymous
	default:
		return math.MaxInt64
	}
}

// enter begins the handling of a request, which leave ends; leave is nil when
// the request was answered within memory. One that comes again while its reply is in
// hand waits for what becomes of that.
func (a *answered) enter(ctx context.Context, key uint64, memory time.Duration) (leave func(), err error) {
	if key == 0 {
		return func() {}, nil
	}
	for {
		leave, ended := a.tryEnter(key, memory)
		if ended == nil {
			return leave, nil
		}
		select {
		case <-ended:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// tryEnter returns a channel to wait for when the same request is in hand.
func (a *answered) tryEnter(key uint64, memory time.Duration) (leave func(), ended <-chan struct{}) {
	a.mu.Lock()
	defer a.mu.Unlock()
	other, inHand := a.inHand[key]
	switch {
	case memory > 0 && a.past.age(key) < memory:
		return nil, nil
	case inHand && memory > 0:
		return nil, other
	case inHand: // another one that looks the same: both are handled
		return func() {}, nil
	}
	done := make(chan struct{})
	a.inHand[key] = done
	return func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		delete(a.inHand, key)
		close(done)
	}, nil
}

// add remembers that a request was answered.
func (a *answered) add(key uint64) {
	if key == 0 {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.past.addHash(key)
}
