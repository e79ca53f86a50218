package rabbitmq

import (
	"context"

	"mqgateway/internal/mq"
)

var _ mq.Prober = (*Broker)(nil)

// Probe implements [mq.Prober]: it dials, opens a channel and closes both.
func (b *Broker) Probe(ctx context.Context) error {
	_, err := await(ctx, &b.tasks, func() (struct{}, error) { return struct{}{}, b.checkAside(ctx) }, func(struct{}) {})
	return err
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
