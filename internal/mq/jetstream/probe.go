package jetstream

import "context"

// Probe implements [mq.Prober]: it connects, asks JetStream, and closes.
func (b *Broker) Probe(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(b.ctx, cancel)()
	l := &link{opts: b.publishing.opts, ctx: ctx}
	s, err := l.session(ctx)
	if err == nil {
		err = b.examine(ctx, s)
	}
	cancel()
	l.close()
	return err
}
