package mq

import (
	"math"
	"time"

	"mqgateway/internal/flow"
)

// fate is what becomes of a message after a try, as far as it is known before a
// dead letter is written or the message is parked.
type fate uint8

const (
	done       fate = iota
	again           // the next try follows in place, after a pause
	park            // the message waits for the next try outside of the process
	requeue         // back to its queue, after a pause
	deadLetter      // to the dead letter queue
	reject          // the broker's own dead-lettering applies
	discard         // dropped
	expired         // its time was over before it could be handled: a dead letter
	untouched       // not the message's fault, not counted
)

// verdict is a fate, with the pause that it asks for.
type verdict struct {
	fate  fate
	pause time.Duration
}

// tries is what is known of the tries of a message, over all processes.
type tries struct {
	// attempts are the tries that failed.
	attempts int
	// since is the first failure, here the first one since the message was taken this
	// time; both are zero before a failure.
	since, here time.Time
	// deadline is when the message is of no use any more; zero is never.
	deadline time.Time
	// parked tells that the message was parked before.
	parked bool
}

// failed notes that one more try failed.
func (t tries) failed(now time.Time) tries {
	t.attempts++
	if t.since.IsZero() {
		t.since = now
	}
	if t.here.IsZero() {
		t.here = now
	}
	return t
}

// late tells that the deadline has passed.
func (t tries) late(now time.Time) bool { return !t.deadline.IsZero() && !now.Before(t.deadline) }

// end is when the message is not tried any more, but for its deadline.
func (t tries) end(w ways, r RetryConfig) time.Time {
	end := t.since.Add(r.For)
	if inPlace := t.here.Add(longestInPlace); !w.park && end.After(inPlace) {
		return inPlace
	}
	return end
}

// ways are how a message can wait for its next try now.
type ways struct {
	// park is outside of the process, place in the hands of its worker.
	park, place bool
}

// longestInPlace bounds how long a message that can't be parked stays
// unacknowledged after its first failure. RabbitMQ takes it away after 30 minutes, of
// which it may have waited as long for a worker that was busy with another one
// (https://www.rabbitmq.com/docs/consumers#acknowledgement-timeout).
const longestInPlace = 10 * time.Minute

// fateOf maps the error of a try, the last one in t, to the fate of the message.
func fateOf(err error, t tries, w ways, c FailureConfig, now time.Time) verdict {
	switch {
	case err == nil:
		return verdict{fate: done}
	case flow.ClassOf(err) == flow.Stopping:
		return verdict{fate: untouched}
	case flow.ClassOf(err) == flow.Permanent:
		return verdict{fate: c.OnPermanent.fate()}
	case t.late(now):
		return verdict{fate: expired}
	}
	end := t.end(w, c.Retry)
	if !now.Before(end) || c.Retry.Attempts > 0 && t.attempts >= c.Retry.Attempts {
		return verdict{fate: c.OnExhausted.fate()}
	}
	return c.wait(t, w, now, end)
}

// wait is how the message waits for a next try, which has to come before the end
// and the deadline.
func (c FailureConfig) wait(t tries, w ways, now, end time.Time) verdict {
	over := c.OnExhausted.fate()
	if !t.deadline.IsZero() && t.deadline.Before(end) {
		over, end = expired, t.deadline
	}
	pause, left := c.Retry.pause(t.attempts), end.Sub(now)
	if w.place && (!w.park || c.Retry.short(t.attempts)) {
		return verdict{again, min(pause, left)}
	}
	if step := c.Retry.step(pause, left); step > 0 {
		return verdict{park, step}
	}
	return verdict{fate: over}
}

func (a FailureAction) fate() fate {
	switch a {
	case RejectIt:
		return reject
	case Requeue:
		return requeue
	case Discard:
		return discard
	default:
		return deadLetter
	}
}

// pause is the one after so many tries, from 1.
func (r RetryConfig) pause(attempts int) time.Duration {
	pause := float64(r.Initial) * math.Pow(r.Multiplier, float64(attempts-1))
	if pause >= float64(r.Max) {
		return r.Max
	}
	return time.Duration(pause)
}

// short tells that the pause after so many tries is one of those that are spent in
// place.
func (r RetryConfig) short(attempts int) bool { return attempts <= r.shortPauses() }

// shortPauses is the number of pauses that are no longer in all than what may be
// spent in place.
func (r RetryConfig) shortPauses() int {
	n := 0
	for total := r.pause(1); n < maxShortPauses && total <= r.InPlaceMax; total += r.pause(n + 1) {
		n++
	}
	return n
}

// maxShortPauses bounds the pauses in place, which may be of any shortness.
const maxShortPauses = 1000

const (
	// maxSteps bounds the lengths of parking, since each may be an object of the broker.
	maxSteps = 12
	// minStep is the shortest one: what is shorter costs more than it helps.
	minStep = time.Second
)

// steps are the lengths for which messages are parked, the shortest first: the
// pauses that follow those in place, coarser where they would be too many.
func (r RetryConfig) steps() []time.Duration {
	first := max(r.pause(r.shortPauses()+1), minStep)
	last := max(r.Max, first)
	factor := max(r.Multiplier, math.Pow(float64(last)/float64(first), 1.0/(maxSteps-1)))
	var steps []time.Duration
	for step := float64(first); len(steps) < maxSteps-1 && step < float64(last); step *= factor {
		steps = append(steps, time.Duration(step).Round(time.Millisecond))
	}
	return append(steps, last)
}

// step is the length of parking for a pause: the first one that is not shorter,
// but the longest one that is not longer than what is left. 0 is none.
func (r RetryConfig) step(pause, left time.Duration) time.Duration {
	found := time.Duration(0)
	for _, step := range r.steps() {
		if step > left {
			break
		}
		found = step
		if step+time.Millisecond > pause {
			break
		}
	}
	return found
}
