package mq

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mqgateway/internal/flow"
)

// usual are the defaults of the configuration.
var usual = FailureConfig{Retry: RetryConfig{
	For: time.Hour, Initial: 200 * time.Millisecond, Max: 5 * time.Minute, Multiplier: 2, InPlaceMax: 2 * time.Second,
}}

func TestFateOf(t *testing.T) {
	down := flow.Errorf(flow.DestinationFailed, "refused")
	bad := flow.Errorf(flow.BadMessage, "no text")
	now := time.Unix(1_000_000, 0)
	both, placeOnly, parkOnly := ways{park: true, place: true}, ways{place: true}, ways{park: true}
	// after so many tries, the first one so long ago.
	after := func(attempts int, ago time.Duration) tries {
		return tries{attempts: attempts, since: now.Add(-ago), here: now.Add(-ago)}
	}
	until := func(t tries, left time.Duration) tries { t.deadline = now.Add(left); return t }
	here := func(t tries, ago time.Duration) tries { t.here = now.Add(-ago); return t }
	with := func(change func(*FailureConfig)) FailureConfig { c := usual; change(&c); return c }
	for _, tt := range []struct {
		name   string
		err    error
		tries  tries
		ways   ways
		config FailureConfig
		want   verdict
	}{
		{"done", nil, tries{}, both, usual, verdict{fate: done}},
		{"stopping", fmt.Errorf("calling: %w", context.Canceled), after(1, 0), both, usual, verdict{fate: untouched}},
		{"permanent", bad, after(1, 0), both, usual, verdict{fate: deadLetter}},
		{"permanent, reject", bad, after(1, 0), both, with(func(c *FailureConfig) { c.OnPermanent = RejectIt }), verdict{fate: reject}},
		{"permanent, requeue", bad, after(1, 0), both, with(func(c *FailureConfig) { c.OnPermanent = Requeue }), verdict{fate: requeue}},
		{"permanent, discard", bad, after(1, 0), both, with(func(c *FailureConfig) { c.OnPermanent = Discard }), verdict{fate: discard}},

		{"first failure", down, after(1, 0), both, usual, verdict{again, 200 * time.Millisecond}},
		{"last one in place", down, after(3, time.Second), both, usual, verdict{again, 800 * time.Millisecond}},
		{"too long for a place", down, after(4, 2*time.Second), both, usual, verdict{park, 1600 * time.Millisecond}},
		{"no place", down, after(1, 0), parkOnly, usual, verdict{park, 1600 * time.Millisecond}},
		{"parked twice", down, after(6, 10*time.Second), parkOnly, usual, verdict{park, 6400 * time.Millisecond}},
		{"longest pause", down, after(30, time.Minute), parkOnly, usual, verdict{park, 5 * time.Minute}},
		{"the last pause has to fit", down, after(30, 58*time.Minute), parkOnly, usual, verdict{park, 102400 * time.Millisecond}},
		{"no pause fits", down, after(30, time.Hour-time.Second), parkOnly, usual, verdict{fate: deadLetter}},
		{"time is used up", down, after(30, time.Hour), both, usual, verdict{fate: deadLetter}},
		{"tries are used up", down, after(5, time.Minute), both, with(func(c *FailureConfig) { c.Retry.Attempts = 5 }), verdict{fate: deadLetter}},
		{"tries are left", down, after(4, time.Minute), parkOnly, with(func(c *FailureConfig) { c.Retry.Attempts = 5 }), verdict{park, 1600 * time.Millisecond}},
		{"exhausted, discard", down, after(30, time.Hour), both, with(func(c *FailureConfig) { c.OnExhausted = Discard }), verdict{fate: discard}},
		{"no time at all", down, after(1, 0), both, with(func(c *FailureConfig) { c.Retry.For = 0 }), verdict{fate: deadLetter}},

		{"place only, long pause", down, after(6, time.Minute), placeOnly, usual, verdict{again, 6400 * time.Millisecond}},
		{"place only, ten minutes", down, after(20, 10*time.Minute), placeOnly, usual, verdict{fate: deadLetter}},
		{"place only, nearly", down, after(20, 9*time.Minute), placeOnly, usual, verdict{again, time.Minute}},
		{"place only, parked before", down, here(after(20, 50*time.Minute), time.Minute), placeOnly, usual, verdict{again, 5 * time.Minute}},

		{"deadline passed", down, until(after(1, 0), 0), both, usual, verdict{fate: expired}},
		{"permanent after the deadline", bad, until(after(1, 0), 0), both, usual, verdict{fate: deadLetter}},
		{"deadline is near", down, until(after(1, 0), 50*time.Millisecond), both, usual, verdict{again, 50 * time.Millisecond}},
		{"parking has to end before the deadline", down, until(after(6, 0), 4*time.Second), parkOnly, usual, verdict{park, 3200 * time.Millisecond}},
		{"no parking ends before the deadline", down, until(after(6, 0), time.Second), parkOnly, usual, verdict{fate: expired}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := fateOf(tt.err, tt.tries, tt.ways, tt.config, now); got != tt.want {
				t.Errorf("fateOf = %+v, want %+v", got, tt.want)
			}
		})
	}
}

func TestStepsAreFewAndReachTheLongestPause(t *testing.T) {
	const ms = time.Millisecond
	for _, tt := range []struct {
		name  string
		retry RetryConfig
		want  []time.Duration // nil: only their number is looked at
	}{
		{"usual", usual.Retry, []time.Duration{
			1600 * ms, 3200 * ms, 6400 * ms, 12800 * ms, 25600 * ms, 51200 * ms, 102400 * ms, 204800 * ms, 300000 * ms,
		}},
		{"short", RetryConfig{Initial: 100 * ms, Max: 500 * ms, Multiplier: 2, InPlaceMax: time.Second}, []time.Duration{time.Second}},
		{"long", RetryConfig{Initial: time.Minute, Max: time.Hour, Multiplier: 60, InPlaceMax: 2 * time.Second}, []time.Duration{time.Minute, time.Hour}},
		{"nothing in place", RetryConfig{Initial: 100 * ms, Max: 4 * time.Second, Multiplier: 2}, []time.Duration{time.Second, 2 * time.Second, 4 * time.Second}},
		{"slow growth", RetryConfig{Initial: 10 * ms, Max: time.Hour, Multiplier: 1.01, InPlaceMax: time.Hour}, nil},
		{"no growth", RetryConfig{Initial: ms, Max: time.Hour, Multiplier: 1, InPlaceMax: time.Hour}, nil},
		{"steep", RetryConfig{Initial: ms, Max: 1000 * time.Hour, Multiplier: 1.5, InPlaceMax: time.Second}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := tt.retry.steps()
			if tt.want != nil {
				if diff := cmp.Diff(tt.want, got); diff != "" {
					t.Errorf("steps (-want +got):\n%s", diff)
				}
			}
			if len(got) > maxSteps || got[0] < minStep || got[len(got)-1] < tt.retry.Max {
				t.Errorf("steps = %v, want at most %d from %v to %v", got, maxSteps, minStep, tt.retry.Max)
			}
		})
	}
}

func TestParkedMessageComesBackAsItWas(t *testing.T) {
	sent := flow.Message{
		ID: "made", IDMade: true, CorrelID: "c", ReplyTo: "R", UserID: "guest", Expiry: 5 * time.Second, Persistence: flow.NonPersistent,
		Body: []byte("body"), Source: flow.Source{Queue: "Q", Manager: "M", Exchange: "topic", RoutingKey: "orders.eu"},
		Headers: []flow.Header{
			{Name: "n", Value: int32(7)},
			{Name: "CC", Value: []any{"x"}},
			{Name: "x-death", Value: "theirs"},
			{Name: "x-first-death-queue", Value: "theirs"},
			{Name: "x-gateway-deadline", Value: "1"},
			{Name: "X-Gateway-Original-User-Id", Value: "root"},
		},
	}
	before := tries{attempts: 4, since: time.UnixMilli(1_000_000), deadline: time.UnixMilli(1_005_000)}
	aside := parked(&sent, before)
	if aside.Expiry != 0 || aside.Persistence != flow.Persistent || aside.UserID != "" {
		t.Errorf("parked copy = %+v, want it persistent, without expiration and user", aside)
	}
	aside.Headers = append(aside.Headers, flow.Header{Name: "x-death", Value: "the broker's"}, flow.Header{Name: "x-last-death-queue", Value: "the broker's"})
	aside.IDMade = false
	aside.Source.Delayed = true
	after := unpark(&aside)
	before.parked = true
	if diff := cmp.Diff(before, after, cmp.AllowUnexported(tries{})); diff != "" {
		t.Errorf("tries (-want +got):\n%s", diff)
	}
	want := sent
	want.Headers = sent.Headers[:4]
	want.Source.Redelivered, want.Source.Delayed = true, true
	if diff := cmp.Diff(want, aside); diff != "" {
		t.Errorf("message (-want +got):\n%s", diff)
	}
}
