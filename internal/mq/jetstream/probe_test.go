package jetstream_test

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"mqgateway/internal/mq"
	"mqgateway/internal/mq/jetstream"
	"mqgateway/internal/secret"
)

func TestProbeTakesAConnectionOfItsOwn(t *testing.T) {
	t.Parallel()
	e := startExternal(t, nil)
	b := openAt(t, jetstream.Config{Instance: instance}, mq.ConnectionConfig{URI: secret.URI(e.url())})
	if err := b.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := b.Probe(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "one connection is left of four", func() bool {
		v, err := e.nats.Varz(nil)
		return err == nil && v.TotalConnections == 4 && v.Connections == 1
	})
	e.stop()
	if err := b.Probe(t.Context()); err == nil {
		t.Error("Probe() of a server that is gone succeeds")
	}
}

func TestProbeOfABrokerThatIsClosed(t *testing.T) {
	t.Parallel()
	b := openEmbedded(t, startEmbedded(t, jetstream.EmbeddedConfig{}))
	if err := b.Probe(t.Context()); err != nil {
		t.Fatal(err)
	}
	closeOrFail(t, b)
	if err := b.Probe(t.Context()); err == nil {
		t.Error("Probe() after Close() succeeds")
	}
}

func TestProbeEndsWithItsTime(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeOrFail(t, listener) })
	b := openAt(t, jetstream.Config{}, mq.ConnectionConfig{URI: secret.URI("nats://" + listener.Addr().String())})
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := b.Probe(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Probe() = %v, want the end of its time", err)
	}
}
