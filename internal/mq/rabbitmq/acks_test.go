package rabbitmq

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"mqgateway/internal/mq"
)

// channel is the broker's side of a channel: it knows what is out and refuses a
// tag that is not, as RabbitMQ does.
type channel struct {
	mu     sync.Mutex // guards the rest
	out    []uint64   // delivered and not settled, in order
	next   uint64
	acked  map[uint64]bool
	nacked map[uint64]bool
	frames []string
	err    error
}

func newChannel() *channel {
	return &channel{next: 1, acked: map[uint64]bool{}, nacked: map[uint64]bool{}}
}

func (c *channel) deliver() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.out = append(c.out, c.next)
	c.next++
	return c.next - 1
}

func (c *channel) outstanding() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.out)
}

func (c *channel) take(frame string, tag uint64, multiple bool, settled map[uint64]bool) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.frames = append(c.frames, frame)
	i, found := slices.BinarySearch(c.out, tag)
	if !found {
		return fmt.Errorf("unknown delivery tag %d", tag)
	}
	first := i
	if multiple {
		first = 0
	}
	for _, t := range c.out[first : i+1] {
		settled[t] = true
	}
	c.out = slices.Delete(c.out, first, i+1)
	return c.err
}

func (c *channel) Ack(tag uint64, multiple bool) error {
	return c.take(fmt.Sprintf("ack %d %t", tag, multiple), tag, multiple, c.acked)
}

func (c *channel) Nack(tag uint64, multiple, requeue bool) error {
	return c.take(fmt.Sprintf("nack %d %t %t", tag, multiple, requeue), tag, multiple, c.nacked)
}

func (c *channel) Reject(tag uint64, requeue bool) error {
	return c.take(fmt.Sprintf("reject %d %t", tag, requeue), tag, false, c.nacked)
}

// receive delivers n messages and begins them.
func receive(c *channel, a *acks, n int) {
	for range n {
		c.deliver()
		a.begin()
	}
}

func settle(t *testing.T, a *acks, o mq.Outcome, tags ...uint64) {
	t.Helper()
	for _, tag := range tags {
		if err := a.settle(tag, o); err != nil {
			t.Fatalf("settle(%d, %s) = %v", tag, o, err)
		}
	}
}

func checkFrames(t *testing.T, c *channel, want ...string) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	if !slices.Equal(c.frames, want) {
		t.Errorf("frames = %q, want %q", c.frames, want)
	}
}

// No time passes in these tests but where they sleep: the timer would send on its own
// what a slow test has not completed yet.

func TestAckAtOnceWhenNothingIsInWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newChannel()
		a := newAcks(c, 128)
		receive(c, a, 1)
		settle(t, a, mq.Ack, 1)
		receive(c, a, 2)
		settle(t, a, mq.Ack, 2, 3)
		checkFrames(t, c, "ack 1 false", "ack 3 true")
	})
}

func TestAckWhenRunIsComplete(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newChannel()
		a := newAcks(c, 16) // runs of 4
		receive(c, a, 6)
		settle(t, a, mq.Ack, 1, 3, 2)
		checkFrames(t, c)
		settle(t, a, mq.Ack, 4)
		checkFrames(t, c, "ack 4 true")
	})
}

func TestAckByTimer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newChannel()
		a := newAcks(c, 128)
		receive(c, a, 3)
		settle(t, a, mq.Ack, 1, 2)
		time.Sleep(ackDelay - time.Nanosecond)
		synctest.Wait()
		checkFrames(t, c)
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		checkFrames(t, c, "ack 2 true")
	})
}

// A message that takes long must not keep the acks of those behind it.
func TestIslandsAreAckedAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newChannel()
		a := newAcks(c, 128)
		receive(c, a, 4)
		settle(t, a, mq.Ack, 3, 2)
		time.Sleep(islandTicks * ackDelay)
		synctest.Wait()
		checkFrames(t, c, "ack 2 false", "ack 3 false")
		settle(t, a, mq.Ack, 1, 4)
		checkFrames(t, c, "ack 2 false", "ack 3 false", "ack 4 true")
	})
}

func TestManyIslandsDoNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newChannel()
		a := newAcks(c, 8) // holds 2 back
		receive(c, a, 8)
		settle(t, a, mq.Ack, 2, 5)
		checkFrames(t, c, "ack 2 false", "ack 5 false")
	})
}

// A tag that was refused is unknown to the broker: a run must not end with it.
func TestRunDoesNotNameRefusedTag(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newChannel()
		a := newAcks(c, 128)
		receive(c, a, 3)
		settle(t, a, mq.Ack, 1, 2)
		settle(t, a, mq.Retry, 3)
		checkFrames(t, c, "reject 3 true", "ack 2 true")
	})
}

func TestOutcomesOnTheWire(t *testing.T) {
	for _, tt := range []struct {
		outcome mq.Outcome
		want    string
	}{
		{mq.Ack, "ack 1 false"},
		{mq.Retry, "reject 1 true"},
		{mq.Return, "nack 1 false true"},
		{mq.Reject, "reject 1 false"},
	} {
		t.Run(tt.outcome.String(), func(t *testing.T) {
			c := newChannel()
			a := newAcks(c, 128)
			receive(c, a, 1)
			settle(t, a, tt.outcome, 1)
			checkFrames(t, c, tt.want)
		})
	}
}

func TestSettledTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newChannel()
		a := newAcks(c, 128)
		receive(c, a, 2)
		settle(t, a, mq.Ack, 1)
		if err := a.settle(1, mq.Ack); !errors.Is(err, errSettled) {
			t.Errorf("second settle = %v, want %v", err, errSettled)
		}
		settle(t, a, mq.Ack, 2)
		checkFrames(t, c, "ack 2 true")
	})
}

func TestAcksClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newChannel()
		a := newAcks(c, 128)
		receive(c, a, 4)
		settle(t, a, mq.Ack, 1, 3)
		a.close()
		checkFrames(t, c, "ack 1 false", "ack 3 false")
		if err := a.settle(2, mq.Ack); !errors.Is(err, mq.ErrStale) {
			t.Errorf("settle after close = %v, want %v", err, mq.ErrStale)
		}
		checkFrames(t, c, "ack 1 false", "ack 3 false")
	})
}

func TestAcksOfLostChannel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newChannel()
		c.err = errors.New("closed")
		a := newAcks(c, 128)
		receive(c, a, 2)
		for tag := range uint64(2) {
			if err := a.settle(tag+1, mq.Reject); !errors.Is(err, mq.ErrStale) {
				t.Errorf("settle = %v, want %v", err, mq.ErrStale)
			}
		}
		checkFrames(t, c, "reject 1 false")
	})
}

// Whatever the order in which deliveries are settled, and whenever the timer
// fires, the broker learns of each exactly once and never of a tag it does not
// know, and no more than the limit is held back.
func TestAcksAgainstModel(t *testing.T) {
	for seed := range uint64(300) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { againstModel(t, rand.New(rand.NewPCG(seed, 1))) })
		})
	}
}

func againstModel(t *testing.T, rnd *rand.Rand) {
	prefetch := 1 + rnd.IntN(40)
	if rnd.IntN(4) == 0 {
		prefetch = 400
	}
	c := newChannel()
	a := newAcks(c, prefetch)
	outcomes := map[uint64]mq.Outcome{}
	var inHand []uint64
	delivered := uint64(0) // the last tag
	unread := 0            // delivered and not received: settled by nobody yet
	for range 600 {
		switch n := rnd.IntN(10); {
		case n < 4:
			for c.outstanding() < prefetch && rnd.IntN(8) > 0 {
				delivered = c.deliver()
				unread++
			}
		case n < 6:
			for ; unread > 0 && rnd.IntN(8) > 0; unread-- {
				inHand = append(inHand, delivered-uint64(unread)+1)
				a.begin()
			}
		case n < 9 && len(inHand) > 0:
			// Mostly near the front, sometimes anywhere: slow ones stay behind.
			i := rnd.IntN(min(len(inHand), 1+rnd.IntN(len(inHand))))
			tag := inHand[i]
			inHand = slices.Delete(inHand, i, i+1)
			o := mq.Ack
			if rnd.IntN(6) == 0 {
				o = mq.Outcome(rnd.IntN(4))
			}
			outcomes[tag] = o
			settle(t, a, o, tag)
		default:
			time.Sleep(time.Duration(rnd.IntN(30)) * time.Millisecond)
			synctest.Wait()
		}
		if held, _ := pending(a); held >= a.limit {
			t.Fatalf("%d acks are held back, the limit is %d", held, a.limit)
		}
	}
	time.Sleep(time.Second)
	synctest.Wait()
	if held, armed := pending(a); held > 0 || armed {
		t.Errorf("after a second %d acks are held back, timer armed: %t", held, armed)
	}
	checkOutcomes(t, c, outcomes)
}

// pending tells what is held back, and whether the timer runs.
func pending(a *acks) (held int, armed bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.held), a.armed
}

func checkOutcomes(t *testing.T, c *channel, outcomes map[uint64]mq.Outcome) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	for tag, o := range outcomes {
		if c.acked[tag] != (o == mq.Ack) || c.nacked[tag] == (o == mq.Ack) {
			t.Errorf("tag %d: %s; acked %t, refused %t", tag, o, c.acked[tag], c.nacked[tag])
		}
	}
	if got := len(c.acked) + len(c.nacked); got != len(outcomes) {
		t.Errorf("the broker saw %d settled, want %d", got, len(outcomes))
	}
}

// sink is a channel that forgets.
type sink struct{ frames atomic.Int64 }

func (s *sink) Ack(uint64, bool) error        { s.frames.Add(1); return nil }
func (s *sink) Nack(uint64, bool, bool) error { s.frames.Add(1); return nil }
func (s *sink) Reject(uint64, bool) error     { s.frames.Add(1); return nil }

// settleInWork keeps inWork deliveries in work and settles four of them backwards,
// then the next four: about the order that workers of the same speed make.
func settleInWork(tb testing.TB, a *acks, inWork int) func() {
	for range inWork {
		a.begin()
	}
	settled := uint64(0)
	return func() {
		a.begin()
		if err := a.settle(settled^3+1, mq.Ack); err != nil {
			tb.Fatal(err)
		}
		settled++
	}
}

func TestSettleDoesNotAllocate(t *testing.T) {
	var s sink
	a := newAcks(&s, 256)
	next := settleInWork(t, a, 64)
	for range 1000 {
		next()
	}
	if got := testing.AllocsPerRun(10_000, next); got != 0 {
		t.Errorf("%v allocations a settle, want none", got)
	}
	if s.frames.Load() == 0 {
		t.Error("nothing was sent")
	}
}

func BenchmarkSettle(b *testing.B) {
	var s sink
	a := newAcks(&s, 256)
	next := settleInWork(b, a, 64)
	b.ReportAllocs()
	for b.Loop() {
		next()
	}
	b.ReportMetric(float64(b.N)/float64(max(s.frames.Load(), 1)), "acks/frame")
}
