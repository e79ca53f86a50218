package faults

import (
	"context"
	"errors"
	"sync"
	"time"

	"mqgateway/test/faults/ledger"
)

// load sends the messages of one flow, again and again until it knows what became of
// each.
type load struct {
	name    string
	book    *ledger.Book
	pace    *pace
	workers int
	// mostOpen messages may be on their way at once.
	mostOpen int
	// try sends one message. It returns nil when the message was accepted, an error
	// that wraps errTold when the sender was told for good that it was not, any other
	// when he has to try again.
	try func(ctx context.Context, id string) error
}

// errTold ends the tries of a message.
var errTold = errors.New("refused")

// run sends until enough ends. What was begun then is finished, unless ctx ends.
func (l *load) run(ctx, enough context.Context) {
	var workers sync.WaitGroup
	for range l.workers {
		workers.Go(func() {
			for l.mayGoOn(enough) {
				l.send(ctx, l.book.Next())
			}
		})
	}
	workers.Wait()
}

// mayGoOn waits for the turn of the next message.
func (l *load) mayGoOn(ctx context.Context) bool {
	if l.pace.wait(ctx) != nil {
		return false
	}
	for l.book.Open() >= l.mostOpen {
		if wait(ctx, 20*time.Millisecond) != nil {
			return false
		}
	}
	return true
}

// send sends one message until its sender knows.
func (l *load) send(ctx context.Context, id string) {
	for ctx.Err() == nil {
		l.book.Try(id)
		err := l.try(ctx, id)
		switch {
		case err == nil:
			l.book.Accept(id)
			return
		case errors.Is(err, errTold):
			l.book.Refuse(id, err.Error())
			_ = wait(ctx, time.Second) // who hears no does not ask again at once
			return
		}
		_ = wait(ctx, 50*time.Millisecond) // the loop looks at ctx
	}
}

// pace lets so many go by in a second. What was missed is not made up for.
type pace struct {
	gap time.Duration

	mu   sync.Mutex // guards next and held
	next time.Time
	held chan struct{} // nobody passes until it is closed; nil when they may
}

func newPace(perSecond float64) *pace {
	return &pace{gap: time.Duration(float64(time.Second) / max(perSecond, 0.1))}
}

// wait waits for a turn.
func (p *pace) wait(ctx context.Context) error {
	p.mu.Lock()
	held := p.held
	p.next = later(p.next, time.Now().Add(-50*time.Millisecond)).Add(p.gap)
	pause := time.Until(p.next)
	p.mu.Unlock()
	if held != nil {
		select {
		case <-held:
		case <-ctx.Done():
		}
	}
	return wait(ctx, pause)
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// hold stops everybody until the returned function is called.
func (p *pace) hold() (release func()) {
	held := make(chan struct{})
	p.mu.Lock()
	p.held = held
	p.mu.Unlock()
	return func() {
		p.mu.Lock()
		p.held = nil
		p.mu.Unlock()
		close(held)
	}
}
