package faults

import (
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"mqgateway/test/gatewaytest"
)

// destinationRate is the load of ten services together.
const destinationRate = 300

// newDestinations is a world in which ten services share the messages of one queue.
func newDestinations(t *testing.T, b broker) *world {
	t.Helper()
	w := newWorld(t, b, plan{
		rate: min(destinationRate, float64(*rate)), shares: map[string]float64{inAsync: 1},
		heartbeat: heartbeat, mostOpen: 1_000_000,
	})
	w.body = func(id string) string { return document(destination(id), id) }
	w.service.takes(0, 20*time.Millisecond)
	w.send()
	return w
}

// throughput is how many messages a second all services but the first one handle during
// a time.
func (w *world) throughput(during time.Duration) float64 {
	count := func() (n int) {
		for i := range 9 {
			n += w.service.handledBy("Service" + string(rune('1'+i)))
		}
		return n
	}
	start, before := time.Now(), count()
	w.rest(during)
	return float64(count()-before) / time.Since(start).Seconds()
}

// oneDestinationDown holds that a service that is down does not slow the others.
func oneDestinationDown(t *testing.T, b broker) []row {
	w := newDestinations(t, b)
	w.rest(5 * time.Second)
	outage := lasting(time.Minute)
	healthy := w.throughput(outage)
	end := w.faults.Begin("destination down")
	w.service.fail("Service0", codes.Unavailable)
	during := w.throughput(outage)
	w.service.fail("Service0", codes.OK)
	end()
	if t.Logf("throughput of nine services: %.0f/s, while the tenth is down %.0f/s", healthy, during); during < 0.95*healthy {
		t.Errorf("throughput of nine services is %.0f/s while the tenth is down, want at least 95 %% of %.0f/s", during, healthy)
	}
	return w.finish()
}

// allDestinationsRefuse holds that a wrong rollout of the mesh does not empty a queue
// into the dead letter queue, and that what got there is not lost.
func allDestinationsRefuse(t *testing.T, b broker) []row {
	// The brake sees it after three seconds or so; others are in work then, or tried later.
	const notice, others = 6 * time.Second, 500
	w := newDestinations(t, b)
	w.rest(5 * time.Second)
	end := w.faults.Begin("all refuse")
	w.setAll(codes.Unimplemented)
	w.rest(max(lasting(time.Minute), 3*notice))
	w.setAll(codes.OK)
	end()
	w.stopLoad()
	w.await("the queue", func() bool { return b.holds(t, queueIn) == 0 })
	letters, most := b.holds(t, queueIn+".DLQ"), int(notice.Seconds()*w.plan.rate)+others
	if t.Logf("%d of %d messages are dead letters", letters, w.sent()); letters == 0 || letters > most {
		t.Errorf("%d dead letters, want some, and at most %d", letters, most)
	}
	r := gatewaytest.Run(t, w.consumers[0].config, "dlq", "replay", "--yes")
	if n := b.holds(t, queueIn+".DLQ"); r.Code != 0 || n != 0 {
		t.Errorf("replay ended with %d and left %d dead letters:\n%s", r.Code, n, r.Stderr)
	}
	return w.finish()
}

func (w *world) setAll(code codes.Code) {
	for i := range 10 {
		w.service.fail("Service"+string(rune('0'+i)), code)
	}
}
