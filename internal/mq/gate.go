package mq

import (
	"context"
	"sync"
	"sync/atomic"
)

// gate lets through while it is open, which the zero value is. All methods may be
// called by many goroutines at once.
type gate struct {
	shut atomic.Bool

	mu sync.Mutex // guards the rest, and changes of shut
	// until ends at the next change; nil while nobody asked for it.
	until context.Context
	end   context.CancelFunc
}

// set opens or shuts the gate.
func (g *gate) set(open bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.shut.Load() != open {
		return
	}
	g.shut.Store(!open)
	if g.until != nil {
		g.end()
		g.until = nil
	}
}

// now tells whether the gate is open, and returns a context that ends when that
// changes.
func (g *gate) now() (open bool, until context.Context) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.until == nil {
		g.until, g.end = context.WithCancel(context.Background())
	}
	return !g.shut.Load(), g.until
}

// enter waits until the gate is open and returns a context that ends when it is
// shut, or with ctx. leave has to be called.
func (g *gate) enter(ctx context.Context) (inside context.Context, leave context.CancelFunc) {
	inside, cancel := context.WithCancel(ctx)
	for {
		open, until := g.now()
		if open {
			release := context.AfterFunc(until, cancel)
			return inside, func() { release(); cancel() }
		}
		select {
		case <-until.Done():
		case <-ctx.Done():
			return inside, cancel
		}
	}
}
