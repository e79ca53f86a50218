package rabbitmq

import (
	"sync"

	"mqgateway/internal/mq"
)

// states hands out the newest state to whoever reads it.
type states struct {
	// ch has room for one state, the newest.
	ch chan mq.State

	mu     sync.Mutex // guards the rest, and writing to ch
	last   mq.Status
	told   bool
	closed bool
}

func newStates() *states { return &states{ch: make(chan mq.State, 1)} }

// set tells a state, if it is another one than the last.
func (s *states) set(state mq.State) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.told && s.last == state.Status {
		return
	}
	s.last, s.told = state.Status, true
	select {
	case <-s.ch:
	default:
	}
	s.ch <- state
}

func (s *states) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.closed = true
		close(s.ch)
	}
}
