package rabbitmq

import (
	"context"

	"mqgateway/internal/mq"
)

// Probe implements [mq.Prober]: it dials, opens a channel and closes both.
func (b *Broker) Probe(ctx context.Context) error {
	return b.tasks.wait(ctx, func() error { return b.checkAside(ctx) })
}

func (b *Broker) checkAside(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(b.dialing, cancel)()
	s, stop, err := b.connectAside(ctx, b.addresses)
	if err != nil {
		return err
	}
	defer stop()
	return s.aside(ctx, func(*throwAway) error { return nil })
}

// connectAside opens a connection for one question, which ends with ctx or by stop.
func (b *Broker) connectAside(ctx context.Context, addresses []address) (s *session, stop func(), err error) {
	s, err = b.dial(ctx, addresses, "check")
	if err != nil {
		return nil, nil, err
	}
	b.tasks.group.Go(func() { s.watch(func(mq.State) {}) })
	release := context.AfterFunc(ctx, s.socket.kill)
	return s, func() { s.close(); release() }, nil
}
