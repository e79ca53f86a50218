package mq

import (
	"hash/maphash"
	"math"
	"time"
)

// history remembers the newest texts of a number, by their hashes.
type history struct {
	seed  maphash.Seed
	known map[uint64]memory
	order []uint64 // a ring
	next  int
}

// memory is how often a hash is in order, and when it was added last.
type memory struct {
	times int
	last  time.Time
}

func newHistory(size int) history {
	return history{seed: maphash.MakeSeed(), known: map[uint64]memory{}, order: make([]uint64, 0, size)}
}

func (h *history) add(text string) { h.addHash(maphash.String(h.seed, text)) }

func (h *history) has(text string) bool { return h.known[maphash.String(h.seed, text)].times > 0 }

// age is how long ago a hash was added; one that is not known is as old as can be.
func (h *history) age(hash uint64) time.Duration {
	m, ok := h.known[hash]
	if !ok {
		return math.MaxInt64
	}
	return time.Since(m.last)
}

func (h *history) addHash(hash uint64) {
	h.known[hash] = memory{h.known[hash].times + 1, time.Now()}
	if len(h.order) < cap(h.order) {
		h.order = append(h.order, hash)
		return
	}
	h.drop(h.order[h.next])
	h.order[h.next] = hash
	h.next = (h.next + 1) % len(h.order)
}

// drop forgets that a hash was added once.
func (h *history) drop(hash uint64) {
	m := h.known[hash]
	if m.times--; m.times == 0 {
		delete(h.known, hash)
		return
	}
	h.known[hash] = m
}
