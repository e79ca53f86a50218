package jetstream

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"mqgateway/internal/mq"
)

// session is one connection, from its dial to its end. It is the generation of
// whatever came by it.
type session struct {
	nc   *nats.Conn
	js   jetstream.JetStream
	gone chan struct{} // closed when the connection is
	err  error         // why it is gone; nil after an orderly end; valid after gone
	told chan struct{} // closed when everybody was told that it is gone

	// refusal is what the server complained of last outside of any answer, such
	// as missing permissions.
	refusal atomic.Pointer[error]
}

func (s *session) lost() bool {
	select {
	case <-s.gone:
		return true
	default:
		return false
	}
}

// explain adds what the server complained of: NATS answers a request that is
// not permitted by silence.
func (s *session) explain(err error) error {
	if refusal := s.refusal.Load(); refusal != nil {
		return fmt.Errorf("%w (the server said: %w)", err, *refusal)
	}
	return err
}

// link keeps at most one session at a time, and dials the next one when
// somebody needs it.
type link struct {
	opts    nats.Options
	changed func(mq.State)  // nil: nobody wants to know
	ctx     context.Context // ends when the link may not dial any more

	current atomic.Pointer[session]
	mu      sync.Mutex
	dialing *dial          // guarded by mu
	work    sync.WaitGroup // the dial under way
}

// dial is one try to connect that all who wait for it share.
type dial struct {
	done    chan struct{}
	session *session // valid after done, with err
	err     error
}

// session returns the live session, dialling it when there is none.
func (l *link) session(ctx context.Context) (*session, error) {
	if s := l.live(); s != nil {
		return s, nil
	}
	d, err := l.join()
	if err != nil {
		return nil, err
	}
	select {
	case <-d.done:
		return d.session, d.err
	case <-ctx.Done():
		return nil, fmt.Errorf("connecting to NATS: %w", ctx.Err())
	}
}

func (l *link) live() *session {
	if s := l.current.Load(); s != nil && !s.lost() && l.ctx.Err() == nil {
		return s
	}
	return nil
}

// join returns the dial under way, or begins one.
func (l *link) join() (*dial, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ctx.Err() != nil {
		return nil, errClosed
	}
	if l.dialing != nil {
		return l.dialing, nil
	}
	d := &dial{done: make(chan struct{})}
	if d.session = l.live(); d.session != nil {
		close(d.done)
		return d, nil
	}
	l.dialing = d
	l.work.Go(func() { l.run(d) })
	return d, nil
}

func (l *link) run(d *dial) {
	d.session, d.err = l.connect()
	l.mu.Lock()
	l.dialing = nil
	if d.err == nil {
		l.current.Store(d.session)
	}
	l.mu.Unlock()
	close(d.done)
}

// connect tries every address once.
func (l *link) connect() (*session, error) {
	s := &session{gone: make(chan struct{}), told: make(chan struct{})}
	dialer := &dialer{ctx: l.ctx, timeout: l.opts.Timeout}
	defer dialer.done()
	nc, err := l.options(s, dialer).Connect()
	if err != nil {
		return nil, fmt.Errorf("connecting to NATS: %w", errors.Join(err, dialer.err))
	}
	s.nc = nc
	if s.js, err = jetstream.New(nc, jetstream.WithDefaultTimeout(l.opts.Timeout)); err != nil {
		nc.Close()
		return nil, fmt.Errorf("connecting to NATS: %w", err)
	}
	return s, nil
}

// options are those of the link with the callbacks of one session, which the
// client calls one after the other.
func (l *link) options(s *session, dialer *dialer) nats.Options {
	opts := l.opts
	opts.ConnectedCB = func(*nats.Conn) { l.report(mq.State{Status: mq.Up}) }
	opts.ClosedCB = func(nc *nats.Conn) {
		if err := nc.LastError(); err != nil && l.ctx.Err() == nil {
			s.err = fmt.Errorf("connection to NATS lost: %w", err)
		}
		close(s.gone)
		l.report(mq.State{Status: mq.Down, Err: s.err})
		close(s.told)
	}
	opts.AsyncErrorCB = func(_ *nats.Conn, _ *nats.Subscription, err error) { s.refusal.Store(&err) }
	if opts.InProcessServer == nil {
		opts.CustomDialer = dialer
		opts.FlusherTimeout = opts.Timeout // All wait for who writes.
	}
	return opts
}

func (l *link) report(state mq.State) {
	if l.changed != nil {
		l.changed(state)
	}
}

// close waits for the dial under way and ends the session. The context of the
// link has to be over.
func (l *link) close() {
	l.work.Wait()
	if s := l.current.Load(); s != nil {
		s.nc.Close()
		<-s.told
	}
}

// dialer ends what it dials when its context ends, and remembers why it could
// not connect: nats.go tells only that no server is available.
type dialer struct {
	ctx     context.Context
	timeout time.Duration
	err     error
	release []func() bool
}

// Dial implements nats.CustomDialer.
func (d *dialer) Dial(network, address string) (net.Conn, error) {
	plain := net.Dialer{Timeout: d.timeout}
	conn, err := plain.DialContext(d.ctx, network, address)
	if err != nil {
		d.err = err
		return nil, err
	}
	d.release = append(d.release, context.AfterFunc(d.ctx, func() { _ = conn.Close() }))
	return breaking{conn}, nil
}

// breaking is a connection that ends when something can't be written. The client goes on
// with one of which nothing has been written, and lets each publish wait for its turn to
// fail.
type breaking struct{ net.Conn }

func (c breaking) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	if err != nil {
		_ = c.Close()
	}
	return n, err
}

// done lets go of the connections: from now on they end by their owner.
func (d *dialer) done() {
	for _, release := range d.release {
		release()
	}
}
