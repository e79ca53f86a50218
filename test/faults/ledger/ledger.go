// Package ledger accounts for messages: who accepted each one, and where it went.
//
// A [Book] holds the messages of one flow. Senders take ids from it and write down
// what they were told; whoever meets a message writes down the place. [Book.Check]
// then looks whether each accepted message is in exactly one place that [Faults]
// explain.
package ledger

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Place is where a message was met.
type Place uint8

// The places. Where a message is meant to go is the last one of its flow.
const (
	// Delivered: at its service, or taken from the queue that it was sent to.
	Delivered Place = iota
	// Answered: its reply was received.
	Answered
	// DeadLettered: it lies in a dead letter queue.
	DeadLettered
	// Parked: it lies in a queue of the gateway's own, for later.
	Parked
	// Queued: it lies in the queue that it was sent to.
	Queued
	places
)

// String names the place.
func (p Place) String() string {
	return [...]string{"delivered", "answered", "dead-lettered", "parked", "queued"}[p]
}

// Book is the account of one flow. It may be used by many goroutines at once.
type Book struct {
	prefix string
	last   Place // where messages of this flow end
	faults *Faults

	mu      sync.Mutex // guards all below
	entries []entry
	copies  []duplicate
	strange []string // what can't be
	copyIDs map[string]string
	// refusals counts why messages were refused.
	refusals map[string]int
	open     int
	placed   int
}

// entry is one message.
type entry struct {
	tries    uint16
	accepted bool
	refused  bool
	// settled tells that it was seen at its last place, or a dead letter.
	settled bool
	count   [places]uint16
	first   [places]time.Time
}

// duplicate is a message that was met again.
type duplicate struct {
	number      int
	place       Place
	first, then time.Time
}

// NewBook opens the account of a flow, whose messages end at last and have ids that
// begin with prefix.
func NewBook(prefix string, last Place, faults *Faults) *Book {
	return &Book{prefix: prefix, last: last, faults: faults, copyIDs: map[string]string{}, refusals: map[string]int{}}
}

// Next is the id of a message that is about to be sent.
func (b *Book) Next() (id string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.entries = append(b.entries, entry{})
	return b.prefix + "-" + strconv.Itoa(len(b.entries)-1)
}

// Owns tells that an id is of this book.
func (b *Book) Owns(id string) bool {
	_, ok := b.number(id)
	return ok
}

// number finds the entry of an id. The caller need not hold mu.
func (b *Book) number(id string) (int, bool) {
	digits, ok := strings.CutPrefix(id, b.prefix+"-")
	if !ok {
		return 0, false
	}
	n, err := strconv.Atoi(digits)
	return n, err == nil && n >= 0
}

// Try writes down that a message is sent, for the first time or once more.
func (b *Book) Try(id string) { b.change(id, func(e *entry) { e.tries++ }) }

// Accept writes down that the sender was told that the message is safe.
func (b *Book) Accept(id string) {
	b.change(id, func(e *entry) {
		e.accepted = true
		if !e.settled {
			b.open++
		}
	})
}

// Refuse writes down that the sender was told that the message is not taken, or not
// answered, and why.
func (b *Book) Refuse(id, why string) {
	b.change(id, func(e *entry) {
		e.refused = true
		b.refusals[special.ReplaceAllString(why, "…")]++
	})
}

// special is what differs between refusals of one kind.
var special = regexp.MustCompile(`"[^"]*"|[0-9]{2,}`)

// Complain writes down something that must not be.
func (b *Book) Complain(format string, args ...any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.complain(format, args...)
}

func (b *Book) complain(format string, args ...any) {
	b.strange = append(b.strange, fmt.Sprintf(format, args...))
}

func (b *Book) change(id string, change func(*entry)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	n, ok := b.number(id)
	if !ok || n >= len(b.entries) {
		b.complain("message %q was never sent", id)
		return
	}
	change(&b.entries[n])
}

// Meet writes down that the message id was met at a place, under the message id
// carried. Copies have to carry what the first one did; at places where the id is that
// of a reply, carried is its own.
func (b *Book) Meet(id string, at Place, carried string) {
	now := time.Now()
	b.change(id, func(e *entry) {
		b.checkID(id, at, carried)
		e.count[at]++
		if e.count[at] == 1 {
			e.first[at] = now
		} else {
			n, _ := b.number(id)
			b.copies = append(b.copies, duplicate{n, at, e.first[at], now})
		}
		if !e.settled && (at == b.last || at == DeadLettered) {
			e.settled = true
			b.placed++
			if e.accepted {
				b.open--
			}
		}
	})
}

// Has tells that a message was met at a place.
func (b *Book) Has(id string, at Place) (met bool) {
	b.change(id, func(e *entry) { met = e.count[at] > 0 })
	return met
}

// checkID holds that copies carry the same id, and messages that of their body. The
// caller holds mu.
func (b *Book) checkID(id string, at Place, carried string) {
	if at != Answered {
		if carried != id {
			b.complain("message %q was met %s as %q", id, at, carried)
		}
		return
	}
	if first, met := b.copyIDs[id]; met && first != carried {
		b.complain("reply to %q came as %q and as %q", id, first, carried)
	}
	b.copyIDs[id] = carried
}

// Open counts the accepted messages that were not met at their last place yet.
func (b *Book) Open() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.open
}

// Sent counts the messages so far.
func (b *Book) Sent() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.entries)
}

// Placed counts the messages that were met at their last place so far.
func (b *Book) Placed() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.placed
}
