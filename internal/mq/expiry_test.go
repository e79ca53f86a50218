package mq_test

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"mqgateway/internal/flow"
	"mqgateway/internal/mq"
)

// watch removes old messages from queue OLD for some periods.
func (b *bench) watch(periods int) {
	ctx, cancel := context.WithCancel(context.Background())
	e := mq.NewExpiry(b.manager, "OLD", mq.ExpiryOptions{Period: 30 * time.Second, Threshold: time.Minute, Log: b.log, Metrics: b.metrics})
	ended := make(chan struct{})
	go func() { defer close(ended); _ = e.Run(ctx) }()
	time.Sleep(time.Duration(periods) * 30 * time.Second)
	cancel()
	<-ended
}

// aged is a message that was put so long ago.
func aged(d time.Duration, headers ...flow.Header) flow.Message {
	return flow.Message{Timestamp: time.Now().Add(-d), Headers: headers}
}

func TestOldMessagesAreRemoved(t *testing.T) {
	const old, young = 2 * time.Minute, time.Second
	for _, tt := range []struct {
		name    string
		queue   []time.Duration // ages; 0 is a message without a time
		counts  bool            // the queue counts deliveries
		settled []mq.Outcome
		log     string
	}{
		{name: "old ones", queue: []time.Duration{old, old}, settled: []mq.Outcome{mq.Ack, mq.Ack}, log: "old messages are removed"},
		{name: "up to the first young one", queue: []time.Duration{old, young, old}, settled: []mq.Outcome{mq.Ack, mq.Return, mq.Return}},
		{name: "up to one without a time", queue: []time.Duration{old, 0, old}, settled: []mq.Outcome{mq.Ack, mq.Return, mq.Return}},
		{name: "none where deliveries are counted", queue: []time.Duration{old, old}, counts: true, settled: []mq.Outcome{mq.Return, mq.Return}, log: "queue counts deliveries"},
		{name: "none of an empty queue"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench()
				for _, age := range tt.queue {
					m := flow.Message{}
					if age > 0 {
						m = aged(age)
					}
					if tt.counts {
						m.Headers = []flow.Header{{Name: "x-delivery-count", Value: int64(1)}}
					}
					b.broker.put("OLD", m)
				}
				b.watch(1)
				if diff := cmp.Diff(tt.settled, b.broker.outcomes()); diff != "" {
					t.Errorf("outcomes (-want +got):\n%s", diff)
				}
				removed := 0
				for _, o := range tt.settled {
					if o == mq.Ack {
						removed++
					}
				}
				if got := b.counter(t, "expired_messages_total"); got != float64(removed) {
					t.Errorf("removed = %v, want %d", got, removed)
				}
				if b.logged.count(tt.log) == 0 && tt.log != "" {
					t.Errorf("no log line %q", tt.log)
				}
			})
		})
	}
}

func TestQueueThatCountsDeliveriesIsLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench()
		b.broker.put("OLD", aged(0, flow.Header{Name: "x-delivery-count", Value: int64(1)}))
		b.broker.put("OLD", slices.Repeat([]flow.Message{aged(time.Hour)}, 30)...)
		b.watch(10)
		if got := len(b.broker.outcomes()); got > 31 {
			t.Errorf("settled = %d, want one look at most", got)
		}
		if got := b.logged.count("message-ttl"); got != 1 {
			t.Errorf("log lines that recommend a policy = %d, want 1", got)
		}
	})
}

func TestQueueThatIsMissingIsToldOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench()
		b.broker.missing = true
		b.watch(10)
		if got := b.logged.count("old messages can't be removed"); got != 1 {
			t.Errorf("log lines = %d, want 1", got)
		}
	})
}
