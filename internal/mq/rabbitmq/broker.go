package rabbitmq

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"mqgateway/internal/field"
	"mqgateway/internal/mq"
)

// Broker is one RabbitMQ broker: a node, or a cluster with several addresses.
type Broker struct {
	manager          string
	instance         string
	confirmTimeout   time.Duration
	handshakeTimeout time.Duration
	closeTimeout     time.Duration
	silence          time.Duration

	consuming  lazy[session]
	publishing lazy[session]
	states     *states
	tasks      tasks
	addresses  []address
	dialing    context.Context // ends when Close begins
	stopDials  context.CancelFunc
}

var (
	_ mq.Broker      = (*Broker)(nil)
	_ mq.Declarer    = (*Broker)(nil)
	_ mq.Broadcaster = (*Broker)(nil)
	_ mq.Delayer     = (*Broker)(nil)
	_ mq.Admin       = (*Broker)(nil)
	_ mq.Inboxer     = (*Broker)(nil)
	_ mq.Prober      = (*Broker)(nil)
)

// Open checks the configuration and makes a broker. It does not connect.
func Open(cfg Config) (*Broker, error) {
	if len(cfg.Addresses) == 0 {
		return nil, errors.New("no address is given")
	}
	var addresses []address
	var problems []error
	for i, c := range cfg.Addresses {
		if err := ValidateConnection(c); err != nil {
			problems = append(problems, field.Under(fmt.Sprintf("[%d]", i), err))
			continue
		}
		these, err := addressesOf(c)
		if err != nil {
			return nil, err
		}
		addresses = append(addresses, these...)
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	b := &Broker{
		manager: cmp.Or(cfg.Manager, ManagerID(cfg.Addresses[0])), instance: cfg.Instance,
		confirmTimeout:   cmp.Or(cfg.ConfirmTimeout, defaultConfirmTimeout),
		handshakeTimeout: cmp.Or(cfg.HandshakeTimeout, defaultHandshakeTimeout),
		closeTimeout:     cmp.Or(cfg.CloseTimeout, defaultCloseTimeout),
		silence:          cmp.Or(cfg.Silence, defaultSilence),
		states:           newStates(),
	}
	b.connectBy(addresses)
	return b, nil
}

// connectBy prepares both connections.
func (b *Broker) connectBy(addresses []address) {
	ctx, cancel := context.WithCancel(context.Background())
	b.addresses, b.dialing, b.stopDials = addresses, ctx, cancel
	for _, link := range []struct {
		to      *lazy[session]
		purpose string
		report  func(mq.State)
	}{
		{&b.consuming, "consume", func(mq.State) {}},
		{&b.publishing, "publish", b.states.set},
	} {
		link.to.tasks = &b.tasks
		link.to.alive = func(s *session) bool { return !s.conn.IsClosed() }
		link.to.open = func(old *session) (*session, error) {
			if old != nil {
				<-old.lost // what it reports comes before what the new one does
			}
			s, err := b.dial(ctx, addresses, link.purpose)
			if err != nil {
				link.report(mq.State{Status: mq.Down, Err: err})
				return nil, err
			}
			b.tasks.group.Go(func() { s.watch(link.report) })
			return s, nil
		}
	}
}

// Check implements [mq.Broker]: it opens the publishing connection and its
// confirm channel, and a channel beside it. A blocked broker reads nothing, and
// lives: it is not asked.
func (b *Broker) Check(ctx context.Context) error {
	s, err := b.publishing.get(ctx)
	if err != nil {
		return err
	}
	if s.blockade() != nil {
		return nil
	}
	if _, err := s.window.get(ctx); err != nil {
		return err
	}
	return s.aside(ctx, func(*throwAway) error { return nil })
}

// States implements [mq.Broker].
func (b *Broker) States() <-chan mq.State { return b.states.ch }

// Close implements [mq.Broker]. Publishes that wait for a confirm end with
// [mq.ErrUnknown].
func (b *Broker) Close() error {
	b.stopDials()
	var closing sync.WaitGroup
	for _, link := range []*lazy[session]{&b.consuming, &b.publishing} {
		if s := link.close(); s != nil {
			closing.Go(s.close) // a broker that hangs is waited for once
		}
	}
	closing.Wait()
	b.tasks.stop()
	b.states.close()
	return nil
}
