package mq

import (
	"math"
	"sync/atomic"
	"time"
)

const (
	// paceMemory is how fast confirm times are forgotten: after this time an old one
	// counts for a third.
	paceMemory = 3 * time.Second
	// paceSlack is the confirm time up to which no manager is slow.
	paceSlack = 10 * time.Millisecond
	// minWeight is what a slow manager is still given, so that it is seen when it has
	// become faster.
	minWeight = 0.01
	// rampTime is how long a returning manager takes to its full share, beginning with
	// minRamp.
	rampTime = 20 * time.Second
	minRamp  = 0.05
)

// load is what balancing knows of a manager. All methods may be called by many
// goroutines at once; of notes that are made at the same time one may get lost.
type load struct {
	// inFlight is the number of messages without a confirm.
	inFlight atomic.Int64
	// pace is the average confirm time in nanoseconds, as the bits of a float64, at the
	// time noted; 0 is not known.
	pace  atomic.Uint64
	noted atomic.Int64
	// since is when the manager came into balancing; 0 means never. ramping is set
	// until it has its full share.
	since   atomic.Int64
	ramping atomic.Bool
}

// begin starts the ramp.
func (l *load) begin() {
	l.pace.Store(0)
	l.since.Store(time.Now().UnixNano())
	l.ramping.Store(true)
}

// lasts is how long the manager has been in balancing.
func (l *load) lasts() time.Duration { return time.Since(time.Unix(0, l.since.Load())) }

// begun tells that the manager has ever been in balancing.
func (l *load) begun() bool { return l.since.Load() != 0 }

// took notes the time of a confirm.
func (l *load) took(d time.Duration) {
	now := time.Now().UnixNano()
	average := float64(d)
	if old := l.average(); old > 0 {
		kept := forgotten(now - l.noted.Load())
		average += kept * (old - average)
	}
	l.note(average, now)
}

// tookAtLeast notes that no confirm came for so long. It counts as whole: one such
// time is enough to know.
func (l *load) tookAtLeast(d time.Duration) {
	if now := time.Now().UnixNano(); float64(d) > l.averageAt(now) {
		l.note(float64(d), now)
	}
}

func (l *load) note(average float64, now int64) {
	l.pace.Store(math.Float64bits(average))
	l.noted.Store(now)
}

// average is the confirm time when it was noted.
func (l *load) average() float64 { return math.Float64frombits(l.pace.Load()) }

// averageAt is the average now: what nothing was heard of gets better by and by, so
// that it is tried again.
func (l *load) averageAt(now int64) float64 {
	return l.average() * forgotten(now-l.noted.Load())
}

// forgotten is what is left of an old value after so many nanoseconds.
func forgotten(age int64) float64 { return math.Exp(-float64(age) / float64(paceMemory)) }

// weight is how much a manager is given, from minWeight to 1, which is a full share;
// best is the best confirm time of all.
func (l *load) weight(best float64) float64 {
	if !l.ramping.Load() && l.average() <= bearable(best) {
		return 1
	}
	now := time.Now().UnixNano()
	return max(l.ramp(now)*min(1, bearable(best)/max(l.averageAt(now), 1)), minWeight)
}

// bearable is the confirm time that is not slow yet.
func bearable(best float64) float64 { return max(2*best, float64(paceSlack)) }

// ramp grows to 1.
func (l *load) ramp(now int64) float64 {
	if !l.ramping.Load() {
		return 1
	}
	done := float64(now-l.since.Load()) / float64(rampTime)
	if done >= 1 {
		l.ramping.Store(false)
		return 1
	}
	return minRamp + done*(1-minRamp)
}
