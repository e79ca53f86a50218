package rabbitmq_test

import (
	"errors"
	"strings"
	"testing"

	amqp "github.com/rabbitmq/amqp091-go"

	"mqgateway/internal/flow"
	"mqgateway/internal/mq"
	"mqgateway/internal/mq/rabbitmq"
	"mqgateway/test/rabbittest"
)

// join makes a queue of a group.
func join(t *testing.T, b *rabbitmq.Broker, queue string) {
	t.Helper()
	if err := b.Join(within(t), "group", mq.Queue{Name: queue, Kind: mq.Classic}); err != nil {
		t.Fatal(err)
	}
}

func TestGroupNames(t *testing.T) {
	t.Parallel()
	b := open(t, rabbittest.Shared(t).VHost(t))
	for _, tt := range []struct{ name, group, want string }{
		{"none", "", "no name"},
		{"too long", strings.Repeat("x", 256), "256 bytes"},
		{"reserved", "amq.mine", "ACCESS_REFUSED"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := b.Join(within(t), tt.group, mq.Queue{Name: "q", Kind: mq.Quorum})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Join() = %v, want %q", err, tt.want)
			}
			err = b.Broadcast(within(t), tt.group, &flow.Message{})
			if !errors.Is(err, mq.ErrReturned) && flow.CodeOf(err) != flow.BadMessage {
				t.Errorf("Broadcast() = %v, want %v or code %d", err, mq.ErrReturned, flow.BadMessage)
			}
		})
	}
}

// An exchange that is there already is taken as it is.
func TestGroupOfAnOperator(t *testing.T) {
	t.Parallel()
	v := rabbittest.Shared(t).VHost(t)
	if err := v.Channel(t).ExchangeDeclare("group", amqp.ExchangeTopic, true, true, false, false, nil); err != nil {
		t.Fatal(err)
	}
	b := open(t, v)
	for _, q := range []string{"a", "b"} {
		join(t, b, q)
	}
	if err := b.Broadcast(within(t), "group", &flow.Message{ID: "m"}); err != nil {
		t.Fatal(err)
	}
	for _, q := range []string{"a", "b"} {
		if d := receive(t, subscribe(t, b, q, 1)); d.Message.ID != "m" {
			t.Errorf("queue %q gives message %q, want m", q, d.Message.ID)
		}
	}
}

// A group whose queues have gone leaves nothing behind: callers may name any number of
// reply queues, one after the other.
func TestGroupGoesWithItsLastQueue(t *testing.T) {
	t.Parallel()
	v, b := openShared(t)
	join(t, b, "q")
	if _, err := v.Channel(t).QueueDelete("q", false, false, false); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the exchange is gone", func() bool {
		var gone *amqp.Error
		err := v.Channel(t).ExchangeDeclarePassive("group", amqp.ExchangeFanout, true, true, false, false, nil)
		return errors.As(err, &gone) && gone.Code == amqp.NotFound
	})
	join(t, b, "q")
	if err := b.Broadcast(within(t), "group", &flow.Message{}); err != nil {
		t.Errorf("Broadcast() to a group that is made again = %v", err)
	}
}

// A group that vanishes costs other publishes nothing, and can be made again.
func TestGroupVanishes(t *testing.T) {
	t.Parallel()
	v, b := openShared(t)
	join(t, b, "q")
	publish(t, b, "q", &flow.Message{})
	shared := b.SharedChannel()
	for range 3 {
		if err := b.Broadcast(within(t), "group", &flow.Message{}); err != nil {
			t.Fatal(err)
		}
		if err := v.Channel(t).ExchangeDelete("group", false, false); err != nil {
			t.Fatal(err)
		}
		if err := b.Broadcast(within(t), "group", &flow.Message{}); !errors.Is(err, mq.ErrReturned) {
			t.Errorf("Broadcast() to a group that vanished = %v, want %v", err, mq.ErrReturned)
		}
		join(t, b, "q")
	}
	keepsChannel(t, b, shared)
	if got := v.Messages(t, "q"); got != 4 {
		t.Errorf("%d messages, want 4", got)
	}
}
