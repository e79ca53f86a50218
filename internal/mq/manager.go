package mq

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"mqgateway/internal/flow"
)

// checkPeriod is the time between two checks of a broker that is up, and
// checkTimeout how long one may take.
const (
	checkPeriod  = 5 * time.Second
	checkTimeout = 10 * time.Second
)

// Manager is one broker under its id. Run keeps its publishing side connected.
type Manager struct {
	id     string
	broker Broker
	queues atomic.Pointer[[]Queue] // to declare
	log    *slog.Logger
	count  managerCounts

	state   atomic.Pointer[State]
	changed *signal // shared by all managers of a gateway
	// reached has room for one word that the broker answered elsewhere.
	reached chan struct{}
}

// ManagerOptions are what a manager needs beside its broker.
type ManagerOptions struct {
	// Queues are declared when they are missing and their Kind allows it, each
	// time that the broker comes up.
	Queues  []Queue
	Log     *slog.Logger
	Metrics *Metrics
}

// Managers are the brokers that a gateway is connected to.
type Managers struct {
	all     []*Manager
	changed signal
}

// Add makes a manager of a broker, which stays the caller's to close. All
// managers are added before the first one runs.
func (ms *Managers) Add(id string, broker Broker, o ManagerOptions) *Manager {
	m := &Manager{
		id: id, broker: broker,
		log: o.Log.With("manager", id), count: o.Metrics.manager(id), changed: &ms.changed,
		reached: make(chan struct{}, 1),
	}
	m.queues.Store(&o.Queues)
	m.state.Store(&State{Status: Down})
	m.count.up.Set(0)
	ms.all = append(ms.all, m)
	return m
}

// All returns the managers in the order in which they were added.
func (ms *Managers) All() []*Manager { return ms.all }

// Available tells that at least one manager takes messages.
func (ms *Managers) Available() bool {
	return slices.ContainsFunc(ms.all, func(m *Manager) bool { return m.ready() == nil })
}

// Declare takes queues in place of those of [ManagerOptions]. Managers that are up
// declare them before it returns, but no longer than one check may take.
func (ms *Managers) Declare(ctx context.Context, queues []Queue) {
	within, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	var declaring sync.WaitGroup
	for _, m := range ms.all {
		m.queues.Store(&queues)
		if m.State().Status != Down {
			declaring.Go(func() { m.declare(within) })
		}
	}
	declaring.Wait()
}

// byID finds a manager; nil when there is none of that id.
func (ms *Managers) byID(id string) *Manager {
	for _, m := range ms.all {
		if m.id == id {
			return m
		}
	}
	return nil
}

// ID returns the manager's id.
func (m *Manager) ID() string { return m.id }

// State returns the last known state. Before the first connection it is Down
// without an error.
func (m *Manager) State() State { return *m.state.Load() }

// Publish sends one message and counts what became of it; see [Broker.Publish].
// The time that it took is added to msg.Away.
func (m *Manager) Publish(ctx context.Context, to flow.Address, msg *flow.Message) error {
	return m.publishBy(ctx, m.broker, to, msg)
}

// publishing is a broker, or one of its reply addresses.
type publishing interface {
	Publish(ctx context.Context, to flow.Address, m *flow.Message) error
}

func (m *Manager) publishBy(ctx context.Context, p publishing, to flow.Address, msg *flow.Message) error {
	start := time.Now()
	err := p.Publish(ctx, to, msg)
	took := time.Since(start)
	msg.Away += took
	m.count.published[resultOf(err)].Inc()
	if err == nil {
		m.count.confirm.Observe(took.Seconds())
	}
	return err
}

// result is what became of a publish.
type result uint8

const (
	confirmed result = iota
	returned
	nacked
	unknown
	failed
)

// results name them for metrics.
var results = [...]string{confirmed: "confirmed", returned: "returned", nacked: "nacked", unknown: "unknown", failed: "failed"}

func resultOf(err error) result {
	switch {
	case err == nil:
		return confirmed
	case errors.Is(err, ErrReturned):
		return returned
	case errors.Is(err, ErrNacked):
		return nacked
	case errors.Is(err, ErrUnknown):
		return unknown
	default:
		return failed
	}
}

// Run connects, watches the connection and connects again, until ctx ends. It
// logs changes of the state, not tries.
func (m *Manager) Run(ctx context.Context) error {
	defer m.set(State{Status: Down})
	pauses := reconnecting()
	for ctx.Err() == nil {
		pause := checkPeriod
		if err := m.check(ctx); err != nil {
			pause = pauses.NextBackOff()
		} else {
			pauses.Reset()
		}
		m.watch(ctx, pause)
	}
	return nil
}

// check asks the broker for an answer and sets the state by it.
func (m *Manager) check(ctx context.Context) error {
	within, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	err := m.broker.Check(within)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		m.set(State{Status: Down, Err: err})
	case m.State().Status == Down:
		declared := m.declare(within)
		m.set(State{Status: Up})
		if m.queues.Load() != declared { // Who replaced them may have found us down.
			m.declare(within)
		}
	}
	return err
}

// watch takes what the driver reports, until the pause is over or the
// connection is lost.
func (m *Manager) watch(ctx context.Context, pause time.Duration) {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	for {
		select {
		case s, ok := <-m.broker.States():
			if !ok {
				<-ctx.Done()
				return
			}
			lost := s.Status == Down && m.State().Status != Down
			m.set(s)
			if lost {
				return
			}
		case <-m.reached:
			return
		case <-timer.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

// reach tells a manager that is down that its broker answered elsewhere, so that it
// need not wait for its next try.
func (m *Manager) reach() {
	if m.State().Status != Down {
		return
	}
	select {
	case m.reached <- struct{}{}:
	default:
	}
}

// sleep waits, but no longer than until the manager comes up.
func (m *Manager) sleep(ctx context.Context, d time.Duration) {
	was := m.State().Status
	timer := time.NewTimer(d)
	defer timer.Stop()
	for {
		changed := m.changed.wait()
		if now := m.State().Status; now == Up && was != Up {
			return
		}
		select {
		case <-changed:
		case <-timer.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

// declare makes the queues that may be made, and returns which. A queue that can't be
// made does not take the manager out: publishing to it fails by itself, with its name.
func (m *Manager) declare(ctx context.Context) *[]Queue {
	declarer, ok := m.broker.(Declarer)
	queues := m.queues.Load()
	for _, q := range *queues {
		if !ok || q.Kind == Existing {
			continue
		}
		if err := declarer.Declare(ctx, q); err != nil {
			m.log.Error("queue can't be declared", "queue", q.Name, "err", err)
		}
	}
	return queues
}

// set notes the state, logs it when it is a new one, and wakes who waits for it.
func (m *Manager) set(s State) {
	old := m.state.Swap(&s)
	if old.Status == s.Status && (old.Err != nil) == (s.Err != nil) {
		return
	}
	up := 0.0
	switch s.Status {
	case Up:
		up = 1
		m.log.Info("manager is up")
	case Blocked:
		m.log.Warn("manager takes no messages; waiting until it does", "err", s.Err)
	case Down:
		if s.Err != nil {
			m.log.Warn("manager is down; trying until it answers", "err", s.Err)
		}
	}
	m.count.up.Set(up)
	m.changed.broadcast()
}

// signal wakes everybody who waits for a change.
type signal struct {
	mu sync.Mutex // guards ch
	ch chan struct{}
}

// wait returns a channel that is closed by the next broadcast.
func (s *signal) wait() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ch == nil {
		s.ch = make(chan struct{})
	}
	return s.ch
}

func (s *signal) broadcast() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ch != nil {
		close(s.ch)
		s.ch = nil
	}
}
