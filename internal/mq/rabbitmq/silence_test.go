package rabbitmq_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"mqgateway/internal/mq"
	"mqgateway/internal/mq/rabbitmq"
	"mqgateway/test/rabbittest"
)

// impatient looks for silent queues soon.
func impatient(c *rabbitmq.Config) { c.Silence = 50 * time.Millisecond }

// The broker does not tell that the queue is gone; a subscription that waited for
// it to speak would wait for ever, even when the queue is made again.
func TestForgottenSubscriptionEnds(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		then func(t *testing.T, v *rabbittest.VHost)
	}{
		{"queue is missing", func(*testing.T, *rabbittest.VHost) {}},
		{"queue is there again", func(t *testing.T, v *rabbittest.VHost) { declare(t, v, "q") }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			v := rabbittest.Shared(t).VHost(t)
			declare(t, v, "q")
			put(t, v, "q", 1)
			sub := subscribe(t, open(t, v, impatient), "q", 1)
			if err := receive(t, sub).Settle(mq.Ack); err != nil {
				t.Fatal(err)
			}
			v.ForgetQueue(t, "q")
			tt.then(t, v)
			_, err := sub.Receive(within(t))
			if err == nil || errors.Is(err, mq.ErrCancelled) || !strings.Contains(err.Error(), "did not tell") {
				t.Errorf("Receive() = %v, want that the broker did not tell", err)
			}
			if err := sub.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// A queue that is only silent is read on, however often it is looked up.
func TestSilentSubscriptionStays(t *testing.T) {
	t.Parallel()
	v := rabbittest.Shared(t).VHost(t)
	declare(t, v, "q")
	sub := subscribe(t, open(t, v), "q", 1)
	for range 3 {
		rabbitmq.Look(sub)
	}
	put(t, v, "q", 1)
	if err := receive(t, sub).Settle(mq.Ack); err != nil {
		t.Error(err)
	}
}
