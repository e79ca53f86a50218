package ledger

import (
	"fmt"
	"maps"
	"time"
)

// Account is the outcome of a flow.
type Account struct {
	// Sent messages, and those among them whose sender was told that they are safe, or
	// that they are not.
	Sent, Accepted, Refused int
	// Met counts messages at each place.
	Met [places]int
	// Duplicates are copies beyond the first one at a place; those that the sender made
	// himself, by sending again what he knew nothing of, are SendersOwn.
	Duplicates, SendersOwn int
	// Lost messages were accepted and are nowhere.
	Lost int
	// Unexplained counts what must not be.
	Unexplained int
	// Complaints are the first of them, and of the lost ones; Copies the first duplicates.
	Complaints, Copies []string
	// Refusals counts why messages were refused.
	Refusals map[string]int
}

// mostListed is how many an account lists.
const mostListed = 20

// Check closes the account. Nothing may be written down meanwhile.
func (b *Book) Check() Account {
	b.mu.Lock()
	defer b.mu.Unlock()
	a := Account{Sent: len(b.entries), Refusals: maps.Clone(b.refusals)}
	for n, e := range b.entries {
		b.checkEntry(&a, fmt.Sprintf("%s-%d", b.prefix, n), e)
	}
	for _, c := range b.copies {
		b.checkCopy(&a, c)
	}
	for _, text := range b.strange {
		a.unexplained("%s", text)
	}
	return a
}

func (b *Book) checkEntry(a *Account, id string, e entry) {
	for place, count := range e.count {
		if count > 0 {
			a.Met[place]++
		}
	}
	switch {
	case e.accepted:
		a.Accepted++
		if !b.isSomewhere(e) {
			a.Lost++
			a.complain("message %q was accepted and is lost", id)
		}
	case e.refused:
		a.Refused++
	case e.tries > 0:
		a.unexplained("the sender of %q heard nothing", id)
	}
	if b.last == Answered && e.count[Answered] > 0 && e.count[Delivered] == 0 {
		a.unexplained("message %q was answered and never delivered", id)
	}
	b.checkTwoPlaces(a, id, e)
}

// isSomewhere tells that a message ended well, or waits where it can be found.
func (b *Book) isSomewhere(e entry) bool {
	for _, place := range []Place{b.last, DeadLettered, Parked, Queued} {
		if e.count[place] > 0 {
			return true
		}
	}
	return false
}

// checkTwoPlaces holds that a message is at one end only, but for copies that a fault
// explains. What still lies in a queue is a copy that would have been delivered.
func (b *Book) checkTwoPlaces(a *Account, id string, e entry) {
	first := e.first[b.last]
	if first.IsZero() {
		return
	}
	for _, place := range []Place{DeadLettered, Parked, Queued} {
		if e.count[place] == 0 || place == b.last {
			continue
		}
		from, to := first, e.first[place]
		if to.Before(from) {
			from, to = to, from
		}
		b.copy(a, id, e.tries, fmt.Sprintf("%s and %s", b.last, place), from, to)
	}
}

func (b *Book) checkCopy(a *Account, c duplicate) {
	b.copy(a, fmt.Sprintf("%s-%d", b.prefix, c.number), b.entries[c.number].tries, c.place.String(), c.first, c.then)
}

// copy looks for what explains that a message was met twice.
func (b *Book) copy(a *Account, id string, tries uint16, where string, first, then time.Time) {
	a.Duplicates++
	cause := b.faults.explain(first, then)
	if cause == "" && tries > 1 {
		a.SendersOwn++
		cause = "its sender"
	}
	text := fmt.Sprintf("message %q was %s at %s and again at %s", id, where, first.Format(clock), then.Format(clock))
	if cause == "" {
		a.unexplained("%s, and no fault explains it", text)
		return
	}
	if len(a.Copies) < mostListed {
		a.Copies = append(a.Copies, text+", near "+cause)
	}
}

const clock = "15:04:05.000"

func (a *Account) unexplained(format string, args ...any) {
	a.Unexplained++
	a.complain(format, args...)
}

func (a *Account) complain(format string, args ...any) {
	if len(a.Complaints) < mostListed {
		a.Complaints = append(a.Complaints, fmt.Sprintf(format, args...))
	}
}
