package jetstream_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"mqgateway/internal/flow"
	"mqgateway/internal/mq"
	"mqgateway/internal/mq/jetstream"
)

// TestChangesOfAQueueAtOnceAllLast has a queue join groups while its first message is
// held back: each changes the same stream.
func TestChangesOfAQueueAtOnceAllLast(t *testing.T) {
	t.Parallel()
	broker := openEmbedded(t, startEmbedded(t, jetstream.EmbeddedConfig{Sync: "1s"}))
	q := mq.Queue{Name: "q", Kind: mq.Quorum}
	declare(t, broker, q.Name)
	var all sync.WaitGroup
	for i := range 5 {
		all.Go(func() {
			if err := broker.Join(t.Context(), fmt.Sprint("group-", i), q); err != nil {
				t.Error(err)
			}
		})
	}
	publishLater(t, broker, q.Name, time.Millisecond, flow.Message{ID: "later"})
	all.Wait()
	want := map[string]bool{"later": true}
	for i := range 5 {
		group := fmt.Sprint("group-", i)
		if err := broker.Broadcast(t.Context(), group, &flow.Message{ID: group}); err != nil {
			t.Error(err)
		}
		want[group] = true
	}
	s := subscribe(t, broker, q.Name, 1)
	for len(want) > 0 {
		d := receive(t, s)
		if !want[d.Message.ID] {
			t.Errorf("received %q, want one of %v", d.Message.ID, want)
		}
		delete(want, d.Message.ID)
		settle(t, d, mq.Ack)
	}
}

// TestGroupsKeepApart has names that share subjects when they are written carelessly.
func TestGroupsKeepApart(t *testing.T) {
	t.Parallel()
	e := startExternal(t, nil)
	operator, broker := newOperator(t, e.nats), openExternal(t, e)
	groups := []string{"a", "a.b", "*", ">", "a b"}
	for _, group := range groups {
		for _, queue := range []string{"*", "b.c"} {
			if err := broker.Join(t.Context(), group, mq.Queue{Name: group + queue, Kind: mq.Quorum}); err != nil {
				t.Fatal(err)
			}
		}
	}
	for i, group := range groups {
		for range i + 1 {
			if err := broker.Broadcast(t.Context(), group, &flow.Message{}); err != nil {
				t.Fatal(err)
			}
		}
	}
	for i, group := range groups {
		for _, queue := range []string{"*", "b.c"} {
			if got := operator.Messages(t, group+queue); got != i+1 {
				t.Errorf("queue %q of group %q has %d messages, want %d", queue, group, got, i+1)
			}
		}
	}
}
