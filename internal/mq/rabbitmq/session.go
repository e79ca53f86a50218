package rabbitmq

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"mqgateway/internal/mq"
)

// maxThrowAway bounds the channels that are open for one question each: a
// connection has 2047.
const maxThrowAway = 16

// session is one connection while it lives. Nothing of it is used on another.
type session struct {
	broker  *Broker
	conn    *amqp.Connection
	socket  *socket
	address address

	// closes and blocks are what the library tells watch.
	closes chan *amqp.Error
	blocks chan amqp.Blocking
	// blocked is the broker's reason for taking no messages; nil means it takes them.
	blocked atomic.Pointer[string]
	closing atomic.Bool
	// lost is closed when the connection is gone, and its end was reported.
	lost chan struct{}
	// cause is why, nil after an orderly end; to be read when lost is closed.
	cause error

	// spare holds a place for each throw-away channel.
	spare chan struct{}
	// window is the channel of publishes, broadcasts that of broadcasts.
	window, broadcasts lazy[window]
	// exchanges are names of exchanges that exist, writable of those that took a
	// request of an inbox, suspects of those that the broker refused a message for
	// in a way that cost a channel.
	exchanges sync.Map
	writable  sync.Map
	suspects  sync.Map
	// nodes are those of the broker that replies were published to; probing is held
	// by who looks for another one.
	nodes   sync.Map
	probing chan struct{}
	// delays are the delay queues that exist; declaring is held by who makes one.
	delays    sync.Map
	declaring chan struct{}
}

func newSession(b *Broker, conn *amqp.Connection, socket *socket, a address) *session {
	s := &session{
		broker: b, conn: conn, socket: socket, address: a,
		closes: conn.NotifyClose(make(chan *amqp.Error, 1)),
		blocks: conn.NotifyBlocked(make(chan amqp.Blocking, 16)),
		lost:   make(chan struct{}),
		spare:  make(chan struct{}, maxThrowAway),

		probing:   make(chan struct{}, 1),
		declaring: make(chan struct{}, 1),
	}
	for _, w := range []*lazy[window]{&s.window, &s.broadcasts} {
		w.tasks = &b.tasks
		w.alive = func(w *window) bool { return !w.ch.IsClosed() }
		w.open = func(*window) (*window, error) { return s.openWindow() }
	}
	return s
}

// watch reports the states of the connection until it is gone.
func (s *session) watch(report func(mq.State)) {
	defer close(s.lost)
	defer s.socket.kill()
	report(mq.State{Status: mq.Up})
	blocks := s.blocks
	for {
		select {
		case b, ok := <-blocks:
			if !ok {
				blocks = nil
				continue
			}
			report(s.setBlocked(b))
		case reason, ok := <-s.closes:
			if ok && !s.closing.Load() {
				s.cause = fmt.Errorf("connection is lost: %w", reason)
			}
			report(mq.State{Status: mq.Down, Err: s.cause})
			return
		}
	}
}

func (s *session) setBlocked(b amqp.Blocking) mq.State {
	if !b.Active {
		s.blocked.Store(nil)
		return mq.State{Status: mq.Up}
	}
	s.blocked.Store(&b.Reason)
	return mq.State{Status: mq.Blocked, Err: blockedError(b.Reason)}
}

// blockade is an error while the broker takes no messages.
func (s *session) blockade() error {
	if reason := s.blocked.Load(); reason != nil {
		return blockedError(*reason)
	}
	return nil
}

func blockedError(reason string) error {
	return fmt.Errorf("the broker takes no messages (%s)", reason)
}

// close ends the connection, in order where the broker still answers.
func (s *session) close() {
	s.closing.Store(true)
	if s.blockade() == nil {
		hard := time.AfterFunc(s.broker.closeTimeout, s.socket.kill)
		defer hard.Stop()
		_ = s.conn.CloseDeadline(time.Now().Add(s.broker.closeTimeout))
	}
	s.socket.kill()
	<-s.lost
}

// lossBy is the error of a channel that ended for the reason that the library
// gave; nil when it was closed in order.
func (s *session) lossBy(reason *amqp.Error) error {
	switch {
	case reason == nil:
		return nil
	case s.conn.IsClosed():
		return fmt.Errorf("connection is lost: %w", reason)
	default:
		return fmt.Errorf("channel is closed by the broker: %w", reason)
	}
}

// throwAway is a channel for one question: the answer may be its end.
type throwAway struct {
	*amqp.Channel
	closes chan *amqp.Error
}

// aside runs do on a channel of its own, until ctx ends at most; do may then
// still run, and must not touch what belongs to the caller.
func (s *session) aside(ctx context.Context, do func(*throwAway) error) error {
	select {
	case s.spare <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	return s.broker.tasks.wait(ctx, func() error {
		defer func() { <-s.spare }()
		ch, err := s.conn.Channel()
		if err != nil {
			return fmt.Errorf("opening a channel: %w", err)
		}
		defer func() { _ = ch.Close() }()
		return do(&throwAway{ch, ch.NotifyClose(make(chan *amqp.Error, 1))})
	})
}

// isCode tells that the broker's exception of that code is behind err.
func isCode(err error, code int) bool {
	e, ok := errors.AsType[*amqp.Error](err)
	return ok && e.Code == code
}
