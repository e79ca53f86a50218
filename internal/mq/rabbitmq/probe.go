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
	s, err := b.dial(ctx, b.addresses, "check")
	if err != nil {
		return err
	}
	b.tasks.group.Go(func() { s.watch(func(mq.State) {}) })
	defer context.AfterFunc(ctx, s.socket.kill)()
	err = s.aside(ctx, func(*throwAway) error { return nil })
	s.close()
	return err
}
