package jetstream_test

import (
	"context"
	"net"
	"strconv"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"mqgateway/internal/flow"
	"mqgateway/internal/mq"
	"mqgateway/internal/mq/jetstream"
	"mqgateway/internal/secret"
)

const (
	// patience is how long tests wait for what has to happen. Machines that run them
	// stand still at times.
	patience = time.Minute
	// instance is the name of our connections on the server.
	instance = "test"
)

// startEmbedded starts an embedded broker that ends with the test.
func startEmbedded(t testing.TB, cfg jetstream.EmbeddedConfig) *jetstream.Server {
	t.Helper()
	if cfg.Directory == "" {
		cfg.Directory = t.TempDir()
	}
	embedded, err := jetstream.StartServer(cfg, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeOrFail(t, embedded) })
	return embedded
}

// openEmbedded opens a broker of the server that ends with the test.
func openEmbedded(t testing.TB, embedded *jetstream.Server) *jetstream.Broker {
	t.Helper()
	broker := newEmbeddedBroker(t, embedded)
	t.Cleanup(func() { closeOrFail(t, broker) })
	return broker
}

func newEmbeddedBroker(t testing.TB, embedded *jetstream.Server) *jetstream.Broker {
	t.Helper()
	return embedded.Open(jetstream.Config{Manager: "embedded", Instance: instance, ConfirmTimeout: patience})
}

func closeOrFail(t testing.TB, c interface{ Close() error }) {
	t.Helper()
	if err := c.Close(); err != nil {
		t.Errorf("closing: %v", err)
	}
}

// external is a NATS server of somebody else, on a port of its own.
type external struct {
	opts server.Options
	nats *server.Server
}

// startExternal starts a server that ends with the test. change may be nil.
func startExternal(t testing.TB, change func(*server.Options)) *external {
	t.Helper()
	e := &external{opts: server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: t.TempDir(),
		MaxPayload: 4 << 20, AuthTimeout: patience.Seconds(), NoLog: true, NoSigs: true,
	}}
	if change != nil {
		change(&e.opts)
	}
	e.start(t)
	t.Cleanup(e.stop)
	return e
}

// start starts the server again, at the same port.
func (e *external) start(t testing.TB) {
	t.Helper()
	opts := e.opts
	var err error
	if e.nats, err = server.NewServer(&opts); err != nil {
		t.Fatal(err)
	}
	e.nats.Start()
	if !e.nats.ReadyForConnections(patience) {
		t.Fatal("the server is not ready")
	}
	e.opts.Port = e.nats.Addr().(*net.TCPAddr).Port
}

func (e *external) stop() {
	e.nats.Shutdown()
	e.nats.WaitForShutdown()
}

func (e *external) url() string { return "nats://127.0.0.1:" + strconv.Itoa(e.opts.Port) }

// cut breaks the connections of our brokers, and the server stays.
func cut(t testing.TB, s *server.Server) {
	t.Helper()
	connections, err := s.Connz(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range connections.Conns {
		if c.Name == instance {
			_ = s.DisconnectClientByID(c.Cid) // it may be gone already
		}
	}
}

// openExternal opens a broker that ends with the test.
func openExternal(t testing.TB, e *external) *jetstream.Broker {
	t.Helper()
	broker := newExternalBroker(t, e)
	t.Cleanup(func() { closeOrFail(t, broker) })
	return broker
}

func newExternalBroker(t testing.TB, e *external) *jetstream.Broker {
	t.Helper()
	broker, err := jetstream.Open(jetstream.Config{
		Manager:        "nats",
		Addresses:      []mq.ConnectionConfig{{URI: secret.URI(e.url())}},
		Instance:       instance,
		ConfirmTimeout: patience,
	})
	if err != nil {
		t.Fatal(err)
	}
	return broker
}

// foreign is a NATS client that knows nothing of us.
func foreign(t testing.TB, url string, options ...nats.Option) *nats.Conn {
	t.Helper()
	nc, err := nats.Connect(url, append(options, nats.Timeout(patience))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc
}

// subscribe reads a queue, which is made when it is missing.
func subscribe(t testing.TB, broker mq.Broker, queue string, prefetch int) mq.Subscription {
	t.Helper()
	s, err := broker.Subscribe(t.Context(), mq.Queue{Name: queue, Prefetch: prefetch, Kind: mq.Quorum})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeOrFail(t, s) })
	return s
}

func declare(t testing.TB, broker mq.Declarer, queue string) {
	t.Helper()
	if err := broker.Declare(t.Context(), mq.Queue{Name: queue, Kind: mq.Quorum}); err != nil {
		t.Fatal(err)
	}
}

func publish(t testing.TB, broker mq.Broker, queue string, m flow.Message) {
	t.Helper()
	if err := broker.Publish(t.Context(), flow.Address{Key: queue}, &m); err != nil {
		t.Fatal(err)
	}
}

// receive takes the next message, which has to come.
func receive(t testing.TB, s mq.Subscription) *mq.Delivery {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	d, err := s.Receive(ctx)
	if err != nil {
		t.Fatalf("receiving: %v", err)
	}
	return d
}

// receiveError waits for the end of the subscription.
func receiveError(t testing.TB, s mq.Subscription) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	d, err := s.Receive(ctx)
	if err == nil {
		t.Fatalf("received %q, want an error", d.Message.Body)
	}
	if ctx.Err() != nil {
		t.Fatal("the subscription goes on, want its end")
	}
	return err
}

func settle(t testing.TB, d *mq.Delivery, o mq.Outcome) {
	t.Helper()
	if err := d.Settle(o); err != nil {
		t.Fatalf("settling by %v: %v", o, err)
	}
}

// eventually polls until the condition holds.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("within %v it did not come about that %s", patience, what)
		}
	}
}
