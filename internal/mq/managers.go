package mq

import (
	"context"
	"slices"
	"sync"
)

// Managers are the brokers that a gateway is connected to.
type Managers struct {
	all     []*Manager
	changed signal

	turning sync.Mutex // guards the rest, and is held while gates are turned
	paused  bool
}

// Add makes a manager of a broker, which stays the caller's to close. All
// managers are added before the first one runs.
func (ms *Managers) Add(id string, broker Broker, o ManagerOptions) *Manager {
	o.Health.complete()
	if o.ConfirmTimeout == 0 {
		o.ConfirmTimeout = defaultConfirmTimeout
	}
	m := &Manager{
		id: id, broker: broker, options: o,
		log: o.Log.With("manager", id), turning: &ms.turning, changed: &ms.changed,
		asked: make(chan struct{}, 1),
	}
	m.queues.Store(&o.Queues)
	m.standing.Store(newStanding(State{Status: Down}))
	ms.all = append(ms.all, m)
	m.count = o.Metrics.manager(id)
	o.Metrics.managers.add(ms)
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
	within, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	var declaring sync.WaitGroup
	for _, m := range ms.all {
		m.queues.Store(&queues)
		if m.State().Status != Down && !m.Disabled() {
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

// SetDisabled takes the managers with these ids out, and the others in again. A
// manager that is out is sent no messages and is not checked; its queues are not
// read, but what was taken from them before is finished there. Replies are read on it
// until those who wait for them have got them. It may be called at any time.
func (ms *Managers) SetDisabled(ids []string) {
	ms.turning.Lock()
	defer ms.turning.Unlock()
	for _, m := range ms.all {
		disabled := slices.Contains(ids, m.id)
		switch {
		case disabled == m.Disabled():
			continue
		case disabled:
			m.disable()
		default:
			m.enable()
		}
		m.reads.set(!disabled && !ms.paused)
	}
	ms.changed.broadcast()
}

func (m *Manager) disable() {
	m.enabled.set(false)
	if !m.load.begun() {
		m.replies.set(false) // nobody waits for one
	}
	m.log.Info("manager is disabled: it is not read, and gets no messages")
}

// enable lets the manager in by its next good check.
func (m *Manager) enable() {
	m.set(State{Status: Down})
	m.replies.set(true)
	m.enabled.set(true)
	m.log.Info("manager is enabled")
}

// SetReading lets queues be read, or pauses that: what is in work is finished, the
// rest stays in the queues. Replies that callers wait for are read all the same. It
// may be called at any time.
func (ms *Managers) SetReading(on bool) {
	ms.turning.Lock()
	defer ms.turning.Unlock()
	ms.paused = !on
	for _, m := range ms.all {
		m.reads.set(on && !m.Disabled())
	}
}
