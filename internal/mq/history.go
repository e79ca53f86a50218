package mq

import "hash/maphash"

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
