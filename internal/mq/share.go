package mq

import (
	"context"
	"sync"
)

// share is the part of a listener's workers that may have a failed message in hand.
// It is looked at when a message fails, and never before.
type share struct {
	mu    sync.Mutex // guards taken
	taken int
	freed signal
}

// seat is the place of one worker in a share. It is not safe for concurrent use.
type seat struct {
	in   *share
	held bool
}

// take takes a place unless limit are taken; one that is held already is kept. It
// tells whether the seat is held.
func (s *seat) take(limit int) bool {
	s.in.mu.Lock()
	defer s.in.mu.Unlock()
	if !s.held && s.in.taken < limit {
		s.held = true
		s.in.taken++
	}
	return s.held
}

// wait is take that waits for a place until ctx ends.
func (s *seat) wait(ctx context.Context, limit int) bool {
	for {
		freed := s.in.freed.wait()
		if s.take(limit) {
			return true
		}
		select {
		case <-freed:
		case <-ctx.Done():
			return false
		}
	}
}

// leave frees the place, when it is held.
func (s *seat) leave() {
	if !s.held {
		return
	}
	s.in.mu.Lock()
	s.held = false
	s.in.taken--
	s.in.mu.Unlock()
	s.in.freed.broadcast()
}
