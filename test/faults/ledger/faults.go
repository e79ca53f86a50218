package ledger

import (
	"cmp"
	"fmt"
	"strings"
	"sync"
	"time"
)

// Faults is the list of what was done to the system. It may be used by many goroutines
// at once.
type Faults struct {
	// Echo is how long after its end a fault may still show. A peer notices a dead
	// connection after two heartbeats, and tries again a little later.
	Echo time.Duration

	mu   sync.Mutex // guards list
	list []*fault
}

// fault is one fault.
type fault struct {
	kind       string
	begin, end time.Time // end is zero while it lasts
	copies     int
}

// Begin writes down that a fault begins; it ends when the returned function is called.
func (f *Faults) Begin(kind string) (end func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	one := &fault{kind: kind, begin: time.Now()}
	f.list = append(f.list, one)
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		one.end = time.Now()
	}
}

// explain finds the fault that explains why a message that was met at first was met
// again then, and counts the copy there: the first one that began between the two; else
// the last one that went on at first; else the last one whose echo did. It returns the
// kind of it, empty when there is none.
func (f *Faults) explain(first, then time.Time) (kind string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var during, echo *fault
	for _, one := range f.list {
		switch {
		case !one.begin.Before(then):
		case !one.begin.Before(first):
			one.copies++
			return one.kind
		case one.end.IsZero() || one.end.After(first):
			during = one
		case one.end.Add(f.Echo).After(first):
			echo = one
		}
	}
	cause := cmp.Or(during, echo)
	if cause == nil {
		return ""
	}
	cause.copies++
	return cause.kind
}

// Kinds tells how many faults there were of each kind.
func (f *Faults) Kinds() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	counts := map[string]int{}
	var order []string
	for _, one := range f.list {
		if counts[one.kind] == 0 {
			order = append(order, one.kind)
		}
		counts[one.kind]++
	}
	for i, kind := range order {
		order[i] = fmt.Sprintf("%d %s", counts[kind], kind)
	}
	return strings.Join(order, ", ")
}

// Copies tells near how many faults of each kind how many copies were met.
func (f *Faults) Copies() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	copies := map[string]int{}
	var order []string
	for _, one := range f.list {
		if one.copies > 0 && copies[one.kind] == 0 {
			order = append(order, one.kind)
		}
		copies[one.kind] += one.copies
	}
	for i, kind := range order {
		order[i] = fmt.Sprintf("%d near %s", copies[kind], kind)
	}
	return strings.Join(order, ", ")
}
