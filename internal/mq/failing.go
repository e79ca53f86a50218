package mq

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"mqgateway/internal/flow"
)

// park tells with false that the message can't be parked, and has to be looked at
// again.
func (f *failing) park(hold, work context.Context, cause error, delay time.Duration) (o Outcome, settled bool) {
	if hold.Err() != nil {
		return Return, true
	}
	err := f.parking.park(work, &f.delivery.Message, f.tries, delay)
	switch {
	case err == nil:
		f.told = notFailedForGood
		f.unparked.Store(false)
		f.about(cause).Log(work, f.level(park, cause), "message failed; parked until its next try", "pause", delay.String(), "err", cause)
		return Ack, true
	case errors.Is(err, ErrNoDelay):
		return 0, false
	case flow.CodeOf(err) == flow.BadMessage:
		f.stays = true
		return 0, false
	}
	f.about(cause).Log(work, once(&f.unparked), "message can't be parked; it goes back to its queue", "err", err, "cause", cause)
	f.giveBack(hold)
	return Return, true
}

// finish does what becomes of a message that is not tried again.
func (f *failing) finish(hold, work context.Context, fate fate, cause error) Outcome {
	if errors.Is(context.Cause(hold), ErrStale) {
		f.told = nothing
		return Return // it is decided when the broker delivers it again
	}
	f.told = notFailedForGood
	if flow.ClassOf(cause) == flow.Permanent {
		f.told = failedForGood
	}
	switch fate {
	case untouched:
		f.told = nothing
		return Return
	case expired:
		f.told = nothing
		return f.deadLetter(hold, work, f.expire(cause))
	case requeue:
		f.seat.wait(hold, f.seats())
		f.giveBack(hold)
		f.about(cause).Log(work, f.level(requeue, cause), "message failed; it goes back to its queue", "err", cause)
		return Return
	case reject:
		f.count.fates[reject](flow.CodeOf(cause))
		f.about(cause).Error("message failed; it is left to the broker's dead-lettering", "err", cause)
		return Reject
	case discard:
		f.count.fates[discard](flow.CodeOf(cause))
		f.about(cause).Error("message failed; it is discarded", "err", cause)
		return Ack
	default:
		return f.deadLetter(hold, work, cause)
	}
}

// expire counts a message whose deadline has passed, and tells what it failed by
// before.
func (f *failing) expire(last error) error {
	if f.options.Late != nil {
		f.options.Late()
	}
	if errors.Is(last, errLate) {
		return last
	}
	return flow.Errorf(errLate.Code, "%w; the last of %d tries: %w", errLate, f.tries.attempts, last)
}

// deadLetter moves the message to the dead letter queue. Where that is not
// possible it goes back to its own queue, after a pause, so that nothing is lost
// and nothing spins. It spends the pause parked, if it can: there it holds no worker,
// and comes nearer to no limit of deliveries.
func (f *failing) deadLetter(hold, work context.Context, cause error) Outcome {
	letter := f.delivery.Message
	letter.Route, letter.Attempts = f.message.Route, f.tries.attempts
	policy := f.options.Failure()
	queue, err := policy.DeadLetters.Write(work, f.manager, &letter, cause)
	if err == nil {
		f.count.fates[deadLetter](flow.CodeOf(cause))
		if f.unwritten.Swap(false) {
			f.log.Info("dead letters can be written again", "deadLetterQueue", queue)
		}
		f.about(cause).Error("message is moved to the dead letter queue", "deadLetterQueue", queue, "err", cause)
		return Ack
	}
	f.about(cause).Log(work, once(&f.unwritten), "dead letter can't be written; message goes back to its queue", "deadLetterQueue", queue, "err", err, "cause", cause)
	if f.parks(policy) {
		told := f.told
		o, settled := f.park(hold, work, cause, policy.Retry.step(policy.Retry.pause(f.tries.attempts), math.MaxInt64))
		f.told = told
		if settled {
			return o
		}
	}
	f.giveBack(hold)
	return Return
}

// givingBackPause keeps a message that goes back to its queue from being
// redelivered more than once a second.
const givingBackPause = time.Second

// backPause is how long a message is held before it goes back to its queue: a second,
// and longer where the broker counts deliveries, so that it does not soon reach their
// limit.
func backPause(m *flow.Message) time.Duration {
	const doublings = 9
	return givingBackPause << min(m.Source.Deliveries, doublings)
}

// giveBack spends the pause before a message goes back to its queue. A manager that
// takes messages again ends it.
func (f *failing) giveBack(hold context.Context) {
	pause := backPause(&f.delivery.Message)
	if sleep(hold, givingBackPause) && pause > givingBackPause {
		f.manager.sleep(hold, pause-givingBackPause)
	}
}

// once is the level of a trouble that many messages have: it is an error until it was told.
func once(told *atomic.Bool) slog.Level {
	if told.Swap(true) {
		return slog.LevelDebug
	}
	return slog.LevelError
}

// level counts what becomes of the message and tells at which level that is logged:
// its first failure and its first parking are worth a warning.
func (f *failing) level(what fate, cause error) slog.Level {
	f.count.fates[what](flow.CodeOf(cause))
	if f.tries.attempts == 1 || what == park && !f.tries.parked {
		return slog.LevelWarn
	}
	return slog.LevelDebug
}

// about is the log with what every line about the message has.
func (f *failing) about(cause error) *slog.Logger {
	return f.log.With("message", f.message.ID, "route", f.message.Route.Name, "destination", f.message.Route.Destination,
		"attempts", f.tries.attempts, "code", int(flow.CodeOf(cause)))
}

// jittered is a pause with its random part.
func (f *failing) jittered(pause time.Duration) time.Duration {
	share := f.options.Failure().Retry.Jitter * (2*rand.Float64() - 1)
	return pause + time.Duration(share*float64(pause))
}
