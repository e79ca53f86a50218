package mq

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"mqgateway/internal/flow"
)

// Headers of a parked message alone.
const (
	// headerRetrySince and headerDeadline are ms since the epoch.
	headerRetrySince = headerPrefix + "retry-since"
	headerDeadline   = headerPrefix + "deadline"
)

// parking has the broker hold messages back until their next try.
type parking struct {
	manager *Manager
	queue   string
	log     *slog.Logger

	mu     sync.Mutex // guards below
	closed time.Time  // until when the broker is not asked
	told   bool
}

// noDelayPause is how long a broker is not asked again to hold messages back, after
// it could not.
const noDelayPause = time.Minute

// open tells that messages can be parked now, as far as it is known.
func (p *parking) open(now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !now.Before(p.closed)
}

// takes tells that a message can be parked without loss: its headers have to fit
// beside those of the gateway.
func (p *parking) takes(m *flow.Message) bool {
	_, cut := fitting(m.Headers, maxHeaders)
	return len(cut) == 0
}

// park returns nil once the broker has a copy of the message that comes back after
// the delay.
func (p *parking) park(ctx context.Context, m *flow.Message, t tries, delay time.Duration) error {
	aside := parked(m, t)
	delayer, ok := p.manager.broker.(Delayer)
	if !ok {
		p.close(ErrNoDelay)
		return ErrNoDelay
	}
	err := insist(ctx, func() error {
		return p.manager.publishBy(ctx, later{delayer, delay}, flow.Address{Key: p.queue}, &aside)
	})
	if err == nil || errors.Is(err, ErrNoDelay) {
		p.close(err)
	}
	return err
}

// close notes whether the broker can hold messages back, and logs it when that is new.
func (p *parking) close(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case err != nil && !p.told:
		p.log.Warn("messages can't be held back outside of the gateway; they are retried in place", "err", err)
	case err == nil && p.told:
		p.log.Info("messages are held back outside of the gateway again")
	}
	p.told = err != nil
	p.closed = time.Time{}
	if err != nil {
		p.closed = time.Now().Add(noDelayPause)
	}
}

// later publishes what comes to its queue after a delay.
type later struct {
	Delayer
	delay time.Duration
}

// Publish implements publishing.
func (l later) Publish(ctx context.Context, to flow.Address, m *flow.Message) error {
	return l.PublishLater(ctx, to.Key, l.delay, m)
}

// parked is the message aside, with what is known of its tries. Headers of the
// gateway that its sender made up are left out: they would be believed.
func parked(m *flow.Message, t tries) flow.Message {
	own := *m
	own.Headers = slices.DeleteFunc(slices.Clone(m.Headers), func(h flow.Header) bool {
		return hasPrefixFold(h.Name, headerPrefix) && h.Name != headerCut
	})
	aside := putAside(&own)
	add := func(name, value string) {
		aside.Headers = append(aside.Headers, flow.Header{Name: name, Value: value})
	}
	add(headerAttempts, strconv.Itoa(t.attempts))
	add(headerRetrySince, sinceEpoch(t.since))
	if !t.deadline.IsZero() {
		add(headerDeadline, sinceEpoch(t.deadline))
	}
	return aside
}

// unpark makes a message again that was parked, and tells what is known of its tries.
func unpark(m *flow.Message) tries {
	back, notes := takeBack(m)
	*m = back
	m.Source.Redelivered = true
	attempts, _ := strconv.Atoi(notes[headerAttempts]) // who wrote it wrote a number
	return tries{attempts: attempts, since: moment(notes[headerRetrySince]), deadline: moment(notes[headerDeadline]), parked: true}
}

// sinceEpoch writes a time as a header.
func sinceEpoch(t time.Time) string { return strconv.FormatInt(t.UnixMilli(), 10) }

// moment reads a time from a header; zero when there is none.
func moment(text string) time.Time {
	ms, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}

func hasPrefixFold(text, prefix string) bool {
	return len(text) >= len(prefix) && strings.EqualFold(text[:len(prefix)], prefix)
}
