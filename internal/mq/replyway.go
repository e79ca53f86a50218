package mq

import (
	"context"
	"errors"
	"sync/atomic"

	"mqgateway/internal/flow"
)

var errRepliesUnread = errors.New("is up, but replies are not read yet")

// uniqueWay has replies come by a queue of this instance, which outlives its
// connection: callers go on waiting while the reading is interrupted.
type uniqueWay struct {
	*Manager
	queue   string
	replies *Listener
}

// Unique adds a manager whose replies come by queue, which replies reads with
// [Requester.Take] as its handler.
func (r *Requester) Unique(m *Manager, queue string, replies *Listener) {
	r.over.routes = append(r.over.routes, &uniqueWay{m, queue, replies})
}

func (u *uniqueWay) manager() *Manager { return u.Manager }

func (u *uniqueWay) ready() error {
	if err := u.Manager.ready(); err != nil || u.replies.Subscribed() {
		return err
	}
	return errRepliesUnread
}

func (u *uniqueWay) send(ctx context.Context, _ *waiter, m *flow.Message) error {
	request := *m
	request.ReplyTo, request.ReplyToManager = u.queue, u.id
	return u.Publish(ctx, m.To, &request)
}

// DirectWay has replies come by a direct reply address. Run keeps one open.
type DirectWay struct {
	*Manager
	requester *Requester
	replies   flow.Handler
	inbox     atomic.Pointer[openInbox]
}

// openInbox is one reply address, told from the next one by its pointer.
type openInbox struct{ Inbox }

// errNoInbox tells that a broker has no direct reply addresses.
var errNoInbox = errors.New("the broker has no direct reply addresses (mq.syncReceiver.replyToMode: DIRECT)")

// Direct adds a manager whose replies come by a direct reply address. Its Run has
// to be called; it gives the replies to a handler that ends in [Requester.Take].
func (r *Requester) Direct(m *Manager, replies flow.Handler) *DirectWay {
	d := &DirectWay{Manager: m, requester: r, replies: replies}
	r.over.routes = append(r.over.routes, d)
	return d
}

func (d *DirectWay) manager() *Manager { return d.Manager }

func (d *DirectWay) ready() error {
	if err := d.Manager.ready(); err != nil || d.inbox.Load() != nil {
		return err
	}
	return errRepliesUnread
}

func (d *DirectWay) send(ctx context.Context, w *waiter, m *flow.Message) error {
	inbox := d.inbox.Load()
	if inbox == nil {
		return errors.New("nothing was sent: the reply address is lost")
	}
	d.requester.waiters.sentBy(w, inbox)
	request := *m
	request.ReplyTo, request.ReplyToManager = inbox.Address(), d.id
	return d.publishBy(ctx, inbox, m.To, &request)
}

// Run opens a reply address, takes replies, and opens another one when it is
// lost, until ctx ends. Callers whose reply address is lost are told at once.
func (d *DirectWay) Run(ctx context.Context) error {
	opener, ok := d.broker.(Inboxer)
	if !ok {
		return errNoInbox
	}
	for ctx.Err() == nil {
		reading, leave := d.Manager.replies.enter(ctx)
		d.keepOpen(reading, opener)
		leave()
	}
	return nil
}

// keepOpen keeps a reply address open until ctx ends.
func (d *DirectWay) keepOpen(ctx context.Context, opener Inboxer) {
	pauses := reconnecting()
	for ctx.Err() == nil {
		inbox, err := opener.OpenInbox(ctx)
		if err != nil {
			d.log.Debug("opening a reply address", "err", err)
			d.sleep(ctx, pauses.NextBackOff())
			continue
		}
		pauses.Reset()
		d.take(ctx, &openInbox{inbox})
	}
}

// take gives the replies of an inbox to their callers until it is lost.
func (d *DirectWay) take(ctx context.Context, inbox *openInbox) {
	d.inbox.Store(inbox)
	d.changed.broadcast()
	lost := d.receive(ctx, inbox)
	d.inbox.Store(nil)
	_ = inbox.Close() // it is gone, or nobody waits for more of it
	d.requester.waiters.lose(inbox, flow.Errorf(flow.BrokerFailed, "the reply address on manager %q is lost: %w", d.id, lost))
}

// receive returns why the inbox is lost.
func (d *DirectWay) receive(ctx context.Context, inbox *openInbox) error {
	for {
		reply, err := inbox.Receive(ctx)
		if err != nil {
			return err
		}
		if _, err := d.replies(ctx, reply); err != nil {
			d.log.Warn("reply can't be used", "message", reply.CorrelID, "code", int(flow.CodeOf(err)), "err", err)
		}
	}
}
