package mq

import (
	"context"
	"errors"
	"time"

	"mqgateway/internal/field"
)

// HealthConfig is mq.connection.health: how managers are checked, and how messages
// are shared out among those that are available.
type HealthConfig struct {
	// Type is Common (messages go to the managers in turn; each check takes a connection
	// of its own) or Smart (messages go to the manager with the fewest unconfirmed ones,
	// slow managers get less, returning ones get more by and by; checks go over the
	// connection that messages take). Default Common.
	Type string `yaml:"type" enum:"Common,Smart"`
	// Period is the time between two checks of a manager. Default 5s.
	Period time.Duration `yaml:"period"`
	// Delay is the time from the start of the gateway, or from enabling a manager,
	// to its first check. Until then it gets no messages. Default 0.
	Delay time.Duration `yaml:"delay"`
	// AttemptsUp is the number of good checks in a row that bring a manager into balancing. Default 1.
	AttemptsUp int `yaml:"attemptsUp"`
	// AttemptsDown is the number of failed checks in a row that take it out. A connection
	// that is lost takes it out at once. Default 1.
	AttemptsDown int `yaml:"attemptsDown"`
}

// The types of health.
const (
	Common = "Common"
	Smart  = "Smart"
)

// DefaultPeriod is the time between two checks where none is configured.
const DefaultPeriod = 5 * time.Second

// complete sets what is not set.
func (c *HealthConfig) complete() {
	if c.Type == "" {
		c.Type = Common
	}
	if c.Period == 0 {
		c.Period = DefaultPeriod
	}
	c.AttemptsUp, c.AttemptsDown = max(c.AttemptsUp, 1), max(c.AttemptsDown, 1)
}

// Validate reports everything that is wrong, as problems of package field.
func (c HealthConfig) Validate() error {
	var errs []error
	if c.Period < 100*time.Millisecond {
		errs = append(errs, field.Errorf("period", "%s is less than 100ms", c.Period))
	}
	if c.AttemptsUp < 1 {
		errs = append(errs, field.Errorf("attemptsUp", "%d is less than 1", c.AttemptsUp))
	}
	if c.AttemptsDown < 1 {
		errs = append(errs, field.Errorf("attemptsDown", "%d is less than 1", c.AttemptsDown))
	}
	return errors.Join(errs...)
}

const (
	// connectTimeout is how long a check of a manager that is down may take: it connects.
	connectTimeout = 10 * time.Second
	// defaultConfirmTimeout is that of the configuration.
	defaultConfirmTimeout = 5 * time.Second
	// minPeriod is the least time between two checks that a publish asks for.
	minPeriod = time.Second
)

// checks are those of one manager in a row.
type checks struct {
	good, bad int
	last      time.Time
	// asked is set when a publish asks for the next check.
	asked bool
	// refused is set when the last check over a connection of its own has failed.
	refused bool
	// blocked is the driver's state while the broker takes no messages, else nil.
	blocked *State
}

// Run checks the manager, watches its connection and connects again, until ctx
// ends. It logs changes of the state, not tries. A manager that is disabled is left
// alone.
func (m *Manager) Run(ctx context.Context) error {
	defer m.set(State{Status: Down})
	for ctx.Err() == nil {
		enabled, until := m.enabled.now()
		within, leave := context.WithCancel(ctx)
		release := context.AfterFunc(until, leave)
		if enabled {
			m.keep(within)
		} else {
			m.standBy(within)
		}
		release()
		leave()
	}
	return nil
}

// standBy takes what the driver reports, while the manager is disabled, until ctx ends.
// When callers can't wait for replies any more, it has them read no longer.
func (m *Manager) standBy(ctx context.Context) {
	timer := time.NewTimer(m.options.ReplyWait)
	defer timer.Stop()
	for {
		select {
		case s, ok := <-m.broker.States():
			if !ok {
				<-ctx.Done()
				return
			}
			m.report(s)
		case <-timer.C:
			m.endReplies()
		case <-ctx.Done():
			return
		}
	}
}

// endReplies shuts the gate for replies unless the manager was enabled meanwhile.
func (m *Manager) endReplies() {
	m.turning.Lock()
	defer m.turning.Unlock()
	if m.Disabled() {
		m.replies.set(false)
	}
}

// keep checks and watches until ctx ends.
func (m *Manager) keep(ctx context.Context) {
	m.checks = checks{blocked: m.checks.blocked}
	if m.options.Health.Delay > 0 && !sleep(ctx, m.options.Health.Delay) {
		return
	}
	pauses := reconnecting()
	for ctx.Err() == nil {
		pause := m.options.Health.Period
		if err := m.check(ctx); err == nil {
			pauses.Reset()
		} else if m.State().Status == Down {
			pause = min(pause, pauses.NextBackOff())
		}
		m.watch(ctx, pause)
	}
}

// check asks the broker for an answer and draws the conclusion.
func (m *Manager) check(ctx context.Context) error {
	timeout := m.options.ConfirmTimeout
	if m.State().Status == Down {
		timeout = connectTimeout
	}
	within, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	m.checks.last = time.Now()
	err := m.probe(within)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	m.count.checked(err)
	if err != nil {
		m.failed(err)
	} else {
		m.passed(within)
	}
	return err
}

// probe checks a manager of type Common over a connection of its own, where the driver
// can do that: while it is up, and when such a check has taken it out. What else is down
// is checked by connecting, and what has not confirmed a message where that was sent.
func (m *Manager) probe(ctx context.Context) error {
	p, ok := m.broker.(Prober)
	up, asked := m.State().Status != Down, m.checks.asked
	m.checks.asked = false
	if !ok || m.smart() || up && asked || !up && !m.checks.refused {
		return m.broker.Check(ctx)
	}
	err := p.Probe(ctx)
	m.checks.refused = err != nil
	if err != nil || up {
		return err
	}
	return m.broker.Check(ctx)
}

func (m *Manager) failed(err error) {
	m.checks.good = 0
	m.checks.bad++
	if m.checks.bad >= m.options.Health.AttemptsDown || m.State().Status == Down {
		m.set(State{Status: Down, Err: err})
	}
}

func (m *Manager) passed(ctx context.Context) {
	m.checks.bad = 0
	m.checks.good++
	if m.State().Status != Down || m.checks.good < m.options.Health.AttemptsUp {
		return
	}
	declared := m.declare(ctx)
	up := State{Status: Up}
	if m.checks.blocked != nil {
		up = *m.checks.blocked
	}
	m.set(up)
	if m.queues.Load() != declared { // Who replaced them may have found us down.
		m.declare(ctx)
	}
}

// watch takes what the driver reports, until the pause is over, the connection is
// lost, or there is a reason to check at once.
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
			if m.report(s) {
				return
			}
		case <-m.asked:
			if m.State().Status == Down || time.Since(m.checks.last) > minPeriod {
				m.checks.asked = true
				return
			}
		case <-timer.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

// report takes a state of the driver, and tells whether it is worth a check. What
// connected by itself is not up before a check says so.
func (m *Manager) report(s State) (worthCheck bool) {
	m.checks.blocked = nil
	if s.Status == Blocked {
		m.checks.blocked = &s
	}
	down := m.State().Status == Down
	switch {
	case s.Status == Down:
		m.checks.good = 0
		if !down {
			m.set(s)
		}
		return !down
	case down:
		return m.checks.good == 0
	default:
		m.set(s)
		return false
	}
}
