package rabbitmq_test

import (
	"errors"
	"strings"
	"testing"

	"mqgateway/internal/flow"
	"mqgateway/internal/mq"
)

func TestInspectCountsConsumers(t *testing.T) {
	t.Parallel()
	_, b := openShared(t, "q")
	for want := range 3 {
		info, err := b.Inspect(within(t), "q")
		if err != nil || info.Consumers != want {
			t.Errorf("Inspect() = %+v, %v, want %d consumers", info, err, want)
		}
		subscribe(t, b, "q", 1)
	}
}

// Names that the broker, or the library, would end a connection over.
func TestAdminOfImpossibleQueues(t *testing.T) {
	t.Parallel()
	_, b := openShared(t, "q")
	publish(t, b, "q", &flow.Message{})
	shared := b.SharedChannel()
	for _, tt := range []struct {
		name, queue string
		isMissing   bool
	}{
		{"too long", strings.Repeat("x", 256), false},
		{"reply address", "amq.rabbitmq.reply-to.x", true},
		{"all reply addresses", "amq.rabbitmq.reply-to", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := b.Inspect(within(t), tt.queue); err == nil || errors.Is(err, mq.ErrNoQueue) != tt.isMissing {
				t.Errorf("Inspect() = %v", err)
			}
			if _, err := b.Purge(within(t), tt.queue); err == nil || errors.Is(err, mq.ErrNoQueue) != tt.isMissing {
				t.Errorf("Purge() = %v", err)
			}
		})
	}
	keepsChannel(t, b, shared)
}
