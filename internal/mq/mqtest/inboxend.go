package mqtest

import (
	"context"
	"errors"

	"mqgateway/internal/flow"
	"mqgateway/internal/mq"
)

func lateReply(f *fixture) {
	b, responder, queue := f.open(), f.open(), f.queue()
	i := f.inbox(b)
	f.ask(i, queue, "request")
	d := f.receive(f.subscribe(responder, queue, 1))
	f.close(i)
	stop := f.background(responder, f.queue(), 4)
	address, reply := answer(d)
	for range 20 {
		if err := responder.Publish(f.ctx(), address, reply); err != nil && !errors.Is(err, mq.ErrReturned) {
			f.Errorf("replying late: %v, want nil or %v", err, mq.ErrReturned)
		}
	}
	stop()
}

func lossEndsInbox(f *fixture) {
	b, queue := f.open(), f.queue()
	f.publish(b, queue, "first")
	i := f.inbox(b)
	const receivers = 3
	ended := make(chan error, receivers)
	ctx := f.ctx()
	for range receivers {
		go func() {
			_, err := i.Receive(ctx)
			ended <- err
		}()
	}
	f.h.Break(f.T)
	for range receivers {
		if err := <-ended; err == nil || ctx.Err() != nil {
			f.Errorf("Receive() = %v, want the loss of the connection", err)
		}
	}
	f.lost(i, queue)
	f.eventually("an inbox can be opened", func() bool {
		next, err := b.(mq.Inboxer).OpenInbox(f.ctx())
		if err != nil {
			return false
		}
		f.Cleanup(func() { _ = next.Close() })
		f.ask(next, queue, "after")
		return true
	})
	f.lost(i, queue)
	if err := i.Close(); err != nil {
		f.Errorf("closing an inbox of a lost connection: %v", err)
	}
}

// lost checks what an inbox answers that is no more.
func (f *fixture) lost(i mq.Inbox, queue string) {
	f.Helper()
	err := i.Publish(f.ctx(), to(queue), request(i, "lost"))
	if err == nil || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, mq.ErrReturned) || flow.CodeOf(err) == flow.BadMessage {
		f.Errorf("Publish() = %v, want that the inbox is no more", err)
	}
	if _, err := i.Receive(f.ctx()); err == nil || errors.Is(err, context.DeadlineExceeded) {
		f.Errorf("Receive() = %v, want that the inbox is no more", err)
	}
}

func closingInbox(f *fixture) {
	b, queue, plain := f.open(), f.queue(), f.queue()
	f.respond(queue)
	i, other := f.inbox(b), f.inbox(b)
	f.roundTrip(i, queue, "before")
	ended := make(chan error)
	go func() {
		_, err := i.Receive(context.Background())
		ended <- err
	}()
	f.closeByMany(i)
	if err := <-ended; err == nil {
		f.Error("Receive() ends without an error when the inbox is closed")
	}
	f.lost(i, queue)
	f.roundTrip(other, queue, "other")
	f.publish(b, plain, "after")
	f.close(b)
	f.lost(other, queue)
	if _, err := b.(mq.Inboxer).OpenInbox(f.ctx()); err == nil || errors.Is(err, context.DeadlineExceeded) {
		f.Errorf("OpenInbox() of a closed broker = %v, want an error at once", err)
	}
}

// blockedInbox opens inboxes, and gives what has to hold for them while the server
// is blocked, and after it.
func (f *fixture) blockedInbox(b mq.Broker, queue string) (blocked, recovered func()) {
	f.Helper()
	kept, closed := f.inbox(b), f.inbox(b)
	blocked = func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		err := kept.Publish(ctx, to(queue), request(kept, "blocked"))
		if err == nil || ctx.Err() != nil || errors.Is(err, mq.ErrUnknown) {
			f.Errorf("Publish() of an inbox of a blocked server = %v, want at once that nothing was sent", err)
		}
		if _, err := b.(mq.Inboxer).OpenInbox(ctx); err == nil || ctx.Err() != nil {
			f.Errorf("OpenInbox() of a blocked server = %v, want an error at once", err)
		}
		if err := closed.Close(); err != nil {
			f.Errorf("closing an inbox of a blocked server: %v", err)
		}
		f.lost(closed, queue)
	}
	recovered = func() {
		f.ask(kept, queue, "recovered")
		f.noReply(kept)
	}
	return blocked, recovered
}
