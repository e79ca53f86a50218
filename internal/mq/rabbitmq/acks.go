package rabbitmq

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"mqgateway/internal/mq"
)

const (
	// maxRun is the number of acks that are joined in one.
	maxRun = 64
	// ackDelay is how long an ack is held back to be joined with others.
	ackDelay = 2 * time.Millisecond
	// islandTicks is how often that delay passes before an ack is sent alone,
	// because a message in front of it is still in work.
	islandTicks = 10
)

// errSettled is a defect of the caller; telling the broker would end the channel.
var errSettled = errors.New("delivery is settled already")

// acks settles the deliveries of one channel. It joins acks: when all deliveries
// up to a tag are done, one frame says so for all of them. The broker numbers the
// deliveries of a channel from 1 without gaps, so that a tag that nobody has
// settled is known to be in work, even before anybody has received it.
//
// A frame is sent while mu is held: another order than that of the decisions
// would settle tags that are gone, and the broker would end the channel.
type acks struct {
	to    amqp.Acknowledger
	limit int // acks that are held back at most
	// inWork counts the deliveries that were received and not settled.
	inWork atomic.Int64

	mu sync.Mutex // guards the rest
	// next is above every tag that was settled.
	next uint64
	// open are the tags below next that are not settled, in order.
	open []uint64
	// held are the acks that were not sent, in order of their tags.
	held  []heldAck
	tick  uint
	timer *time.Timer
	armed bool
	err   error // ends everything
}

// heldAck is an ack that waits for others since a tick of the timer.
type heldAck struct {
	tag   uint64
	since uint
}

// newAcks makes the acks of a channel. No more than a quarter of the prefetch is
// held back, so that the broker always has something to send.
func newAcks(to amqp.Acknowledger, prefetch int) *acks {
	return &acks{
		to: to, next: 1, limit: min(max(prefetch/4, 1), maxRun),
		open: make([]uint64, 0, prefetch), held: make([]heldAck, 0, prefetch),
	}
}

// begin notes that a delivery was received.
func (a *acks) begin() { a.inWork.Add(1) }

// settle settles a delivery that was received. An ack may be sent later. The
// error wraps [mq.ErrStale] when the channel is gone.
func (a *acks) settle(tag uint64, o mq.Outcome) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.err != nil {
		return a.err
	}
	if !a.finish(tag) {
		return fmt.Errorf("%w: %d", errSettled, tag)
	}
	idle := a.inWork.Add(-1) <= 0
	switch o {
	case mq.Ack:
		a.hold(tag)
	case mq.Return:
		a.check(a.to.Nack(tag, false, true))
	default:
		a.check(a.to.Reject(tag, o == mq.Retry))
	}
	a.send(idle)
	return a.err
}

// finish notes that a tag is no longer in work. It tells whether it was.
func (a *acks) finish(tag uint64) bool {
	if tag >= a.next {
		for ; a.next < tag; a.next++ {
			a.open = append(a.open, a.next)
		}
		a.next++
		return true
	}
	i, found := slices.BinarySearch(a.open, tag)
	if found {
		a.open = slices.Delete(a.open, i, i+1)
	}
	return found
}

// hold keeps an ack back.
func (a *acks) hold(tag uint64) {
	i := len(a.held)
	for i > 0 && a.held[i-1].tag > tag {
		i--
	}
	a.held = slices.Insert(a.held, i, heldAck{tag, a.tick})
}

// send decides what is sent now: everything that can be joined when nothing is in
// work or a run is complete; single acks when they alone fill what may be held
// back. For the rest the timer runs.
func (a *acks) send(idle bool) {
	if idle || a.run() >= a.limit {
		a.sendRun()
	}
	if len(a.held) >= a.limit {
		a.sendRun()
		a.sendIslands(0)
	}
	a.arm()
}

// run is the number of held acks that one frame can send: those in front of
// everything that is in work.
func (a *acks) run() int {
	if len(a.open) == 0 {
		return len(a.held)
	}
	first := a.open[0]
	i, _ := slices.BinarySearchFunc(a.held, first, func(h heldAck, tag uint64) int {
		if h.tag < tag {
			return -1
		}
		return 1
	})
	return i
}

// sendRun sends a run with one frame. It names the last tag of the run, which is
// known to the broker: one that was refused earlier would not be.
func (a *acks) sendRun() {
	n := a.run()
	if n == 0 || a.err != nil {
		return
	}
	a.check(a.to.Ack(a.held[n-1].tag, n > 1))
	a.held = slices.Delete(a.held, 0, n)
}

// sendIslands sends the acks that were held for so many ticks, one by one.
func (a *acks) sendIslands(ticks uint) {
	a.held = slices.DeleteFunc(a.held, func(h heldAck) bool {
		if a.err != nil || a.tick-h.since < ticks {
			return false
		}
		a.check(a.to.Ack(h.tag, false))
		return true
	})
}

// arm lets the timer run while something is held back.
func (a *acks) arm() {
	if len(a.held) == 0 || a.armed || a.err != nil {
		return
	}
	a.armed = true
	if a.timer == nil {
		a.timer = time.AfterFunc(ackDelay, a.expire)
		return
	}
	a.timer.Reset(ackDelay)
}

// expire sends what was held back for long enough.
func (a *acks) expire() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.armed = false
	if a.err != nil {
		return
	}
	a.tick++
	a.sendRun()
	a.sendIslands(islandTicks)
	a.arm()
}

// check ends everything when a frame could not be sent: the channel is gone, and
// the broker gives the messages to somebody again.
func (a *acks) check(err error) {
	if err != nil && a.err == nil {
		a.err = fmt.Errorf("%w: %w", mq.ErrStale, err)
	}
}

// close sends what was held back; what is settled later is stale.
func (a *acks) close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.timer != nil {
		a.timer.Stop()
	}
	if a.err == nil {
		a.sendRun()
		a.sendIslands(0)
	}
	a.check(errors.New("subscription is closed"))
}
