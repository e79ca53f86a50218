package jetstream

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"mqgateway/internal/mq"
)

const (
	defaultConfirmTimeout = 5 * time.Second
	defaultHeartbeat      = 10 * time.Second
	// defaultAckWait is how soon the server gives the messages of a process that
	// vanished to others. Messages in work are kept alive, however long it takes.
	defaultAckWait = 15 * time.Second
)

// Config describes a NATS server or cluster.
type Config struct {
	// Manager is the id of the broker, for Source.Manager of messages.
	Manager string
	// Addresses of the servers; all belong to one cluster.
	Addresses []mq.ConnectionConfig
	// TLS is for addresses with tls://, and makes all others use TLS, too. Nil: the
	// certificates of the system.
	TLS *tls.Config
	// Instance names the connections where an address gives no connectionName.
	Instance string
	// ConfirmTimeout bounds the wait for an answer of the server. Default 5s.
	ConfirmTimeout time.Duration
	// MaxMessage is the largest body that has to pass, in bytes: Check fails when
	// the server's max_payload is smaller. 0 checks nothing.
	MaxMessage int64
}

// Broker is a NATS JetStream server or cluster. It dials when it has to: one
// connection for publishing, one for all reading.
type Broker struct {
	manager    string
	maxMessage int64
	timeout    time.Duration
	ackWait    time.Duration
	overdue    time.Duration

	publishing, reading link
	states              states
	delays              delays
	changing            sync.Mutex      // held while a stream is changed
	ctx                 context.Context // ends when Close begins
	stop                context.CancelFunc

	mu sync.Mutex
	// guarded by mu
	subscriptions map[*subscription]bool
	orphans       map[string][]orphan // by queue
}

var (
	_ mq.Broker      = (*Broker)(nil)
	_ mq.Declarer    = (*Broker)(nil)
	_ mq.Delayer     = (*Broker)(nil)
	_ mq.Broadcaster = (*Broker)(nil)
	_ mq.Admin       = (*Broker)(nil)
	_ mq.Prober      = (*Broker)(nil)
)

// errClosed is what the methods of a closed broker return.
var errClosed = errors.New("broker is closed")

// Open makes the broker for an external NATS. It does not dial.
func Open(cfg Config) (*Broker, error) {
	urls, err := serverURLs(cfg.Addresses)
	if err != nil {
		return nil, err
	}
	opts := clientOptions(cfg)
	opts.Servers = urls
	if cfg.TLS != nil {
		opts.Secure, opts.TLSConfig = true, cfg.TLS
	}
	return open(cfg, opts), nil
}

// open makes a broker whose connections have the options.
func open(cfg Config, opts nats.Options) *Broker {
	ctx, stop := context.WithCancel(context.Background())
	b := &Broker{
		manager:       cfg.Manager,
		maxMessage:    cfg.MaxMessage,
		timeout:       cmp.Or(cfg.ConfirmTimeout, defaultConfirmTimeout),
		ackWait:       defaultAckWait,
		overdue:       defaultOverdue,
		states:        states{ch: make(chan mq.State, 1)},
		delays:        delays{queues: map[string]*delayable{}},
		ctx:           ctx,
		stop:          stop,
		subscriptions: map[*subscription]bool{},
		orphans:       map[string][]orphan{},
	}
	b.delays.look = b.readyDelays
	opts.Timeout = b.timeout
	b.publishing = link{opts: opts, ctx: ctx, changed: b.states.report}
	b.reading = link{opts: opts, ctx: ctx}
	return b
}

// clientOptions are the options of both connections, without an address. A lost
// connection is never resumed: the next one is a new generation.
func clientOptions(cfg Config) nats.Options {
	opts := nats.GetDefaultOptions()
	opts.AllowReconnect = false
	opts.MaxPingsOut = 2
	opts.PingInterval = defaultHeartbeat
	opts.Name = cfg.Instance
	for _, a := range cfg.Addresses {
		if a.Heartbeat > 0 {
			opts.PingInterval = a.Heartbeat
		}
		opts.Name = cmp.Or(a.ConnectionName, opts.Name)
	}
	return opts
}

// Check implements [mq.Broker]. It asks JetStream itself, since a server may
// live without it.
func (b *Broker) Check(ctx context.Context) error {
	s, err := b.publishing.session(ctx)
	if err != nil {
		return err
	}
	return b.examine(ctx, s)
}

// examine tells what of a session would keep messages from being published.
func (b *Broker) examine(ctx context.Context, s *session) error {
	if limit := s.nc.MaxPayload(); b.maxMessage > limit {
		return fmt.Errorf("the server's max_payload of %d bytes is less than the %d bytes of the largest message: raise it, or lower mq.maxMsgLength",
			limit, b.maxMessage)
	}
	ctx, cancel := context.WithTimeout(ctx, b.timeout)
	defer cancel()
	if _, err := s.js.AccountInfo(ctx); err != nil {
		return s.explain(fmt.Errorf("asking JetStream: %w", err))
	}
	return nil
}

// States implements [mq.Broker].
func (b *Broker) States() <-chan mq.State { return b.states.ch }

// Close implements [mq.Broker]. Unsettled messages go back to their queues.
func (b *Broker) Close() error {
	b.stop()
	b.mu.Lock()
	open := make([]*subscription, 0, len(b.subscriptions))
	for s := range b.subscriptions {
		open = append(open, s)
	}
	b.mu.Unlock()
	var errs []error
	for _, s := range open {
		errs = append(errs, s.Close())
	}
	b.delays.close()
	b.reading.close()
	b.publishing.close()
	b.states.close()
	return errors.Join(errs...)
}

// track remembers a subscription for Close. It is false when that has begun.
func (b *Broker) track(s *subscription) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ctx.Err() != nil {
		return false
	}
	b.subscriptions[s] = true
	return true
}

func (b *Broker) forget(s *subscription) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.subscriptions, s)
}

// states hands the last state of the publishing connection to its reader.
type states struct {
	ch chan mq.State // holds one state: a newer one replaces it

	mu     sync.Mutex
	closed bool // guarded by mu
}

func (s *states) report(state mq.State) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	select {
	case <-s.ch:
	default:
	}
	s.ch <- state
}

func (s *states) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.closed = true
		close(s.ch)
	}
}
