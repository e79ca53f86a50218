package rabbitmq

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// errClosed is what a closed broker answers.
var errClosed = errors.New("broker is closed")

// tasks are the goroutines of a broker, which Close waits for.
type tasks struct {
	mu      sync.Mutex // guards stopped, and Add against Wait
	stopped bool
	group   sync.WaitGroup
}

// run starts do, unless the broker is closed.
func (t *tasks) run(do func()) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.stopped {
		return false
	}
	t.group.Go(do)
	return true
}

// stop lets nothing new start and waits for the rest.
func (t *tasks) stop() {
	t.mu.Lock()
	t.stopped = true
	t.mu.Unlock()
	t.group.Wait()
}

// await runs do, which can't be interrupted, until ctx ends at most. When it is
// left behind, undo gets what it made.
func await[T any](ctx context.Context, t *tasks, do func() (T, error), undo func(T)) (T, error) {
	type result struct {
		value T
		err   error
	}
	var none T
	done := make(chan result)
	left := make(chan struct{})
	defer close(left)
	started := t.run(func() {
		value, err := do()
		select {
		case done <- result{value, err}:
		case <-left:
			if err == nil {
				undo(value)
			}
		}
	})
	if !started {
		return none, errClosed
	}
	select {
	case r := <-done:
		return r.value, r.err
	case <-ctx.Done():
		return none, context.Cause(ctx)
	}
}

// wait is [await] for what makes nothing.
func (t *tasks) wait(ctx context.Context, do func() error) error {
	_, err := await(ctx, t, func() (struct{}, error) { return struct{}{}, do() }, func(struct{}) {})
	return err
}

// lazy is something that is opened when it is needed and opened again when it
// has died. However many ask at once, it is opened once, with one try.
type lazy[T any] struct {
	open  func(old *T) (*T, error) // may block; old is nil or dead
	alive func(*T) bool
	tasks *tasks

	value atomic.Pointer[T]

	mu      sync.Mutex // guards the rest
	pending *attempt[T]
	shut    bool
}

// attempt is one try of opening; its fields are set when done is closed.
type attempt[T any] struct {
	done  chan struct{}
	value *T
	err   error
}

// get returns the living value, or waits until ctx ends for a try to open it.
func (l *lazy[T]) get(ctx context.Context) (*T, error) {
	if v := l.peek(); v != nil {
		return v, nil
	}
	a := l.attempt()
	select {
	case <-a.done:
		return a.value, a.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// getWithin is get that waits no longer than d.
func (l *lazy[T]) getWithin(ctx context.Context, d time.Duration) (*T, error) {
	if v := l.peek(); v != nil {
		return v, nil
	}
	ctx, cancel := context.WithTimeoutCause(ctx, d, fmt.Errorf("no answer within %s", d))
	defer cancel()
	return l.get(ctx)
}

// peek returns the value if it is alive, else nil.
func (l *lazy[T]) peek() *T {
	if v := l.value.Load(); v != nil && l.alive(v) {
		return v
	}
	return nil
}

// attempt joins the try that is under way, or starts one.
func (l *lazy[T]) attempt() *attempt[T] {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.pending != nil {
		return l.pending
	}
	a := &attempt[T]{done: make(chan struct{})}
	if a.value = l.peek(); a.value != nil {
		close(a.done)
		return a
	}
	if l.shut || !l.tasks.run(func() { l.try(a) }) {
		a.err = errClosed
		close(a.done)
		return a
	}
	l.pending = a
	return a
}

func (l *lazy[T]) try(a *attempt[T]) {
	a.value, a.err = l.open(l.value.Load())
	l.mu.Lock()
	defer l.mu.Unlock()
	if a.err == nil {
		l.value.Store(a.value)
	}
	l.pending = nil
	close(a.done)
}

// close lets nothing be opened any more and returns the last value, or nil.
func (l *lazy[T]) close() *T {
	l.mu.Lock()
	l.shut = true
	a := l.pending
	l.mu.Unlock()
	if a != nil {
		<-a.done
	}
	return l.value.Load()
}
