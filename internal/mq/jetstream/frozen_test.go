package jetstream_test

import (
	"context"
	"errors"
	"net"
	"strconv"
	"testing"
	"time"

	"mqgateway/internal/flow"
	"mqgateway/internal/mq"
	"mqgateway/internal/mq/jetstream"
	"mqgateway/internal/secret"
	"mqgateway/test/faults/proxy"
)

// TestFrozenServerHoldsNobodyForLong: a server that reads nothing fills the connection
// soon when messages are large.
func TestFrozenServerHoldsNobodyForLong(t *testing.T) {
	t.Parallel()
	e := startExternal(t, nil)
	network := proxy.Start(t, net.JoinHostPort("127.0.0.1", strconv.Itoa(e.opts.Port)))
	broker, err := jetstream.Open(jetstream.Config{
		Addresses: []mq.ConnectionConfig{{URI: secret.URI("nats://" + network.Address)}},
		Instance:  instance, ConfirmTimeout: 4 * time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeOrFail(t, broker) })
	eventually(t, "the queue is made", func() bool {
		return broker.Declare(t.Context(), mq.Queue{Name: "q", Kind: mq.Quorum}) == nil
	})
	network.Hold(proxy.Both)
	ended := make(chan error, 64)
	for range cap(ended) {
		go func() {
			ended <- broker.Publish(context.WithoutCancel(t.Context()), flow.Address{Key: "q"}, &flow.Message{Body: make([]byte, 1<<20)})
		}()
	}
	checked := make(chan error, 1)
	go func() { checked <- broker.Check(context.WithoutCancel(t.Context())) }()
	late := time.After(patience)
	for range cap(ended) {
		select {
		case err := <-ended:
			if err == nil || errors.Is(err, mq.ErrNacked) || errors.Is(err, mq.ErrReturned) {
				t.Errorf("publishing to a frozen server: %v", err)
			}
		case <-late:
			t.Fatalf("publishing takes longer than %v", patience)
		}
	}
	select {
	case err := <-checked:
		if err == nil {
			t.Error("a frozen server is checked, and good")
		}
	case <-late:
		t.Fatalf("the check takes longer than %v", patience)
	}
	network.Heal()
	eventually(t, "a server that goes on takes messages", func() bool {
		return broker.Publish(t.Context(), flow.Address{Key: "q"}, &flow.Message{}) == nil
	})
}
