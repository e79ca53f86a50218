package mq

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"mqgateway/internal/flow"
)

// Manager is one broker under its id. Run keeps its publishing side connected.
type Manager struct {
	id      string
	broker  Broker
	options ManagerOptions
	queues  atomic.Pointer[[]Queue] // to declare
	log     *slog.Logger
	count   managerCounts

	standing atomic.Pointer[standing]
	load     load
	// enabled, reads and replies are what the configuration lets this manager do.
	enabled, reads, replies gate
	// turning is held while they are turned, and changed signalled when something
	// happens to a manager. They are those of all managers of a gateway.
	turning *sync.Mutex
	changed *signal
	// asked has room for one request to be checked before the next period.
	asked chan struct{}

	// checks belongs to Run.
	checks checks
}

// ManagerOptions are what a manager needs beside its broker.
type ManagerOptions struct {
	// Queues are declared when they are missing and their Kind allows it, each
	// time that the broker comes up.
	Queues []Queue
	// Health says how the broker is checked and how messages are shared out. The zero
	// value is that of the configuration.
	Health HealthConfig
	// ConfirmTimeout is how long a check of a broker that is up may take. 0 means 5s.
	ConfirmTimeout time.Duration
	// ReplyWait is how long replies are still read after the manager was disabled, since
	// callers wait for them.
	ReplyWait time.Duration
	Log       *slog.Logger
	Metrics   *Metrics
}

// standing is a state with the error of who wants to send; nil where messages are taken.
type standing struct {
	State
	refusal error
}

func newStanding(s State) *standing {
	why := errManagerDown
	switch s.Status {
	case Up:
		return &standing{State: s}
	case Blocked:
		why = errManagerBlocked
	case Down:
	}
	if s.Err != nil {
		why = fmt.Errorf("%w: %w", why, s.Err)
	}
	return &standing{State: s, refusal: why}
}

var (
	errManagerDown     = errors.New("is down")
	errManagerBlocked  = errors.New("is blocked")
	errManagerDisabled = errors.New("is disabled (mq.consumerParams.disableManagerIds)")
)

// ID returns the manager's id.
func (m *Manager) ID() string { return m.id }

// State returns the last known state. Before the first connection it is Down
// without an error.
func (m *Manager) State() State { return m.standing.Load().State }

// Disabled tells that the configuration has taken the manager out.
func (m *Manager) Disabled() bool { return m.enabled.shut.Load() }

// ready tells why the manager takes no messages now; nil when it does.
func (m *Manager) ready() error {
	if m.Disabled() {
		return errManagerDisabled
	}
	return m.connected()
}

// connected is ready of a manager that may be disabled.
func (m *Manager) connected() error { return m.standing.Load().refusal }

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
	m.load.inFlight.Add(1)
	start := time.Now()
	err := p.Publish(ctx, to, msg)
	took := time.Since(start)
	m.load.inFlight.Add(-1)
	msg.Away += took
	m.note(resultOf(err), took)
	return err
}

// note takes what became of a publish into the metrics and the balancing.
func (m *Manager) note(r result, took time.Duration) {
	m.count.published[r].Inc()
	switch r {
	case confirmed:
		m.count.confirm.Observe(took.Seconds())
		if m.smart() {
			m.load.took(took)
		}
	case unknown, failed:
		m.load.tookAtLeast(took)
		if took >= m.options.ConfirmTimeout {
			m.ask()
		}
	case returned, nacked: // say nothing of the manager's pace
	}
}

func (m *Manager) smart() bool { return m.options.Health.Type == Smart }

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

// reach tells a manager that is down that its broker answered elsewhere, so that it
// need not wait for its next try.
func (m *Manager) reach() {
	if m.State().Status == Down {
		m.ask()
	}
}

// ask wants a check before the next period.
func (m *Manager) ask() {
	select {
	case m.asked <- struct{}{}:
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
		if err := declarer.Declare(ctx, q); err != nil && !errors.Is(ctx.Err(), context.Canceled) {
			m.log.Error("queue can't be declared", "queue", q.Name, "err", err)
		}
	}
	return queues
}

// set notes the state, logs it when it is a new one, and wakes who waits for it.
func (m *Manager) set(s State) {
	if s.Status == Up && m.connected() != nil {
		m.load.begin()
	}
	old := m.standing.Swap(newStanding(s))
	if old.Status == s.Status && (old.Err != nil) == (s.Err != nil) {
		return
	}
	if !m.Disabled() { // else nobody waits for it
		m.tell(s)
	}
	m.changed.broadcast()
}

// tell logs a state.
func (m *Manager) tell(s State) {
	switch s.Status {
	case Up:
		m.log.Info("manager is up")
	case Blocked:
		m.log.Warn("manager takes no messages; waiting until it does", "err", s.Err)
	case Down:
		if s.Err != nil {
			m.log.Warn("manager is down; trying until it answers", "err", s.Err)
		}
	}
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
