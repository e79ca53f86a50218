package faults

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"

	"mqgateway/internal/flow"
	"mqgateway/internal/mq"
	"mqgateway/internal/mq/jetstream"
	"mqgateway/internal/secret"
	"mqgateway/test/gatewaytest"
	"mqgateway/test/ports"
)

// embedded is the broker inside the consumer gateway, and ends with it. The other
// gateway, and the programs of the scenario, reach it as NATS.
type embedded struct {
	directory string
	port      int
	driver    *jetstream.Broker
	// server opens the directory after the gateway has ended.
	server *jetstream.Server
}

var _ broker = (*embedded)(nil)

const embeddedToken = "faults"

func newEmbedded(t *testing.T) *embedded {
	t.Helper()
	e := &embedded{directory: filepath.Join(t.TempDir(), "data"), port: ports.Free()}
	var err error
	e.driver, err = jetstream.Open(jetstream.Config{
		Manager: "QM1", Instance: "peer",
		Addresses: []mq.ConnectionConfig{{Hostname: []string{"127.0.0.1"}, Port: e.port, Token: embeddedToken}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.driver.Close() })
	return e
}

func (e *embedded) name() string { return "embedded" }

func (e *embedded) kind() string { return "-" }

func (e *embedded) address() string { return fmt.Sprintf("127.0.0.1:%d", e.port) }

func (e *embedded) consumer(string, time.Duration) (below, connection string) {
	return fmt.Sprintf("provider: embedded\n  embedded: {directory: %q, listen: %q, token: %s}", e.directory, e.address(), embeddedToken),
		"declareQueues: none"
}

func (e *embedded) provider(address string, heartbeat time.Duration) (below, connection string) {
	return "provider: nats", fmt.Sprintf("connections: [{uri: \"nats://%s\", token: %s, queueManager: QM1, heartbeat: %s}]\n    declareQueues: quorum",
		address, embeddedToken, heartbeat)
}

func (e *embedded) put(ctx context.Context, queue string, l letter) error {
	return e.driver.Publish(ctx, flow.Address{Key: queue}, &flow.Message{
		ID: l.id, CorrelID: l.correl, ReplyTo: l.replyTo, Persistence: flow.Persistent, Body: []byte(l.body),
	})
}

func (e *embedded) read(ctx context.Context, queue string, take func(letter)) {
	for ctx.Err() == nil {
		_ = e.readOnce(ctx, e.driver, queue, take) // by the next try, or never
		_ = wait(ctx, 100*time.Millisecond)        // the loop looks at ctx
	}
}

// readOnce returns when the connection is lost, or ctx ends.
func (e *embedded) readOnce(ctx context.Context, driver *jetstream.Broker, queue string, take func(letter)) error {
	s, err := driver.Subscribe(ctx, mq.Queue{Name: queue, Prefetch: 500, Kind: mq.Quorum, Unlimited: true})
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	for {
		d, err := s.Receive(ctx)
		if err != nil {
			return err
		}
		take(embeddedLetter(d.Message))
		if err := d.Settle(mq.Ack); err != nil {
			return err
		}
	}
}

func embeddedLetter(m flow.Message) letter {
	headers := map[string]any{}
	for _, h := range m.Headers {
		headers[h.Name] = h.Value
	}
	return letter{id: m.ID, correl: m.CorrelID, replyTo: m.ReplyTo, headers: headers, body: string(m.Body), again: m.Source.Redelivered}
}

func (e *embedded) names(t *testing.T) []string {
	t.Helper()
	var names []string
	for stream := range e.streams(t) {
		names = append(names, stream)
	}
	return names
}

func (e *embedded) holds(t *testing.T, queue string) int {
	t.Helper()
	return e.streams(t)[queue]
}

// streams counts the messages of all queues, those that are held back among them.
func (e *embedded) streams(t *testing.T) map[string]int {
	t.Helper()
	var queues map[string]int
	gatewaytest.Eventually(t, func() error {
		queues = map[string]int{}
		conn, err := nats.Connect("nats://"+e.address(), nats.Token(embeddedToken))
		if err != nil {
			return err
		}
		defer conn.Close()
		js, err := natsjs.New(conn)
		if err != nil {
			return err
		}
		list := js.ListStreams(t.Context())
		for info := range list.Info() {
			queues[unescape(strings.TrimPrefix(info.Config.Name, "MQ_"))] = int(info.State.Msgs)
		}
		return list.Err()
	})
	return queues
}

// unescape is the queue of a stream.
func unescape(name string) string {
	return escaped.ReplaceAllStringFunc(name, func(code string) string {
		b, err := hex.DecodeString(code[1:])
		if err != nil {
			return code
		}
		return string(b)
	})
}

var escaped = regexp.MustCompile(`=[0-9A-F]{2}`)

// left starts the broker once more, since it has ended with its gateway.
func (e *embedded) left(t *testing.T, queue string, take func(letter)) {
	t.Helper()
	if e.server == nil {
		e.restart(t)
	}
	n := e.holds(t, queue)
	if n == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(t.Context(), gatewaytest.Patience)
	defer cancel()
	err := e.readOnce(ctx, e.driver, queue, func(l letter) {
		if take(l); n == 1 {
			cancel()
		}
		n--
	})
	if n > 0 && !errors.Is(err, context.Canceled) {
		t.Errorf("reading what is left in %q: %d messages more, %v", queue, n, err)
	}
}

func (e *embedded) restart(t *testing.T) {
	t.Helper()
	var err error
	e.server, err = jetstream.StartServer(jetstream.EmbeddedConfig{
		Directory: e.directory, Listen: e.address(), Token: secret.String(embeddedToken),
	}, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.server.Close() })
}
