package jetstream_test

import (
	"fmt"
	"testing"
	"time"

	"mqgateway/internal/flow"
	"mqgateway/internal/mq"
	"mqgateway/internal/mq/jetstream"
)

// counts waits until so many messages wait in the queue.
func counts(t testing.TB, broker mq.Admin, queue string, want int) {
	t.Helper()
	got := 0
	for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		info, err := broker.Inspect(t.Context(), queue)
		if err != nil {
			t.Fatal(err)
		}
		if got = info.Messages; got == want {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d messages wait, want %d", got, want)
		}
	}
}

func purge(t testing.TB, broker mq.Admin, queue string, want int) {
	t.Helper()
	if got, err := broker.Purge(t.Context(), queue); err != nil || got != want {
		t.Fatalf("Purge() = %d, %v, want %d", got, err, want)
	}
}

func TestWhatIsHeldBackIsNotPurged(t *testing.T) {
	t.Parallel()
	e := startExternal(t, nil)
	operator, broker, reading := newOperator(t, e.nats), openExternal(t, e), openExternal(t, e)
	declare(t, broker, "q")
	for i := range 5 {
		publish(t, broker, "q", flow.Message{ID: fmt.Sprint(i)})
	}
	publishLater(t, broker, "q", time.Hour, flow.Message{ID: "later"})
	busy, idle := subscribe(t, reading, "q", 1), subscribe(t, reading, "q", 2)
	inWork := receive(t, busy)
	receive(t, idle)
	receive(t, idle)
	counts(t, broker, "q", 2)
	closeOrFail(t, idle) // its messages wait again
	counts(t, broker, "q", 4)
	purge(t, broker, "q", 4)
	counts(t, broker, "q", 0)
	settle(t, inWork, mq.Ack)
	eventually(t, "only what is held back is left", func() bool { return operator.queue(t, "q").State.Msgs == 1 })
}

func TestPurgeTakesManyMessages(t *testing.T) {
	t.Parallel()
	const n = 1234
	embedded := startEmbedded(t, jetstream.EmbeddedConfig{Sync: "1s"})
	operator, broker := newOperator(t, embedded.NATS()), openEmbedded(t, embedded)
	operator.MakeQueue(t, "q") // has no consumer
	for i := range n {
		publish(t, broker, "q", flow.Message{ID: fmt.Sprint(i)})
	}
	counts(t, broker, "q", n)
	purge(t, broker, "q", n)
	if got := operator.Messages(t, "q"); got != 0 {
		t.Errorf("%d messages are left, want 0", got)
	}
}

func TestMessagesOfAVanishedReaderWait(t *testing.T) {
	t.Parallel()
	e := startExternal(t, nil)
	broker := openExternal(t, e)
	declare(t, broker, "q")
	publish(t, broker, "q", flow.Message{ID: "m"})
	vanished := subscribe(t, broker, "q", 1)
	receive(t, vanished)
	counts(t, openExternal(t, e), "q", 0)
	cut(t, e.nats)
	_ = receiveError(t, vanished)
	counts(t, openExternal(t, e), "q", 1)
}
