package jetstream_test

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	natsjs "github.com/nats-io/nats.go/jetstream"

	"mqgateway/internal/flow"
	"mqgateway/internal/mq"
	"mqgateway/internal/mq/jetstream"
	"mqgateway/internal/secret"
)

// openAt opens a broker of one address that ends with the test. It waits as long as
// tests do unless the configuration says otherwise.
func openAt(t testing.TB, cfg jetstream.Config, c mq.ConnectionConfig) *jetstream.Broker {
	t.Helper()
	cfg.Addresses = append(cfg.Addresses, c)
	cfg.ConfirmTimeout = cmp.Or(cfg.ConfirmTimeout, patience)
	broker, err := jetstream.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeOrFail(t, broker) })
	return broker
}

func TestWhyAServerCannotBeUsed(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		opts func(*server.Options)
		cfg  jetstream.Config
		want string
	}{
		{"no JetStream", func(o *server.Options) { o.JetStream = false }, jetstream.Config{}, "JetStream"},
		{"wrong password", func(o *server.Options) { o.Username, o.Password = "user", "other" }, jetstream.Config{}, "Authorization"},
		{"max_payload", func(o *server.Options) { o.MaxPayload = 1000 }, jetstream.Config{MaxMessage: 1001}, "max_payload"},
		{
			"no permission",
			func(o *server.Options) {
				o.Users = []*server.User{{Username: "user", Password: "pass-word", Permissions: &server.Permissions{
					Publish: &server.SubjectPermission{Allow: []string{"mq.>"}},
				}}}
			},
			jetstream.Config{ConfirmTimeout: time.Second},
			"Permissions Violation",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			e := startExternal(t, tt.opts)
			uri := secret.URI(strings.Replace(e.url(), "//", "//user:pass-word@", 1))
			broker := openAt(t, tt.cfg, mq.ConnectionConfig{URI: uri})
			eventually(t, "Check() is an error about "+tt.want, func() bool {
				err := broker.Check(t.Context())
				if strings.Contains(fmt.Sprint(err), "pass-word") {
					t.Fatalf("error %q tells the password", err)
				}
				return err != nil && strings.Contains(err.Error(), tt.want)
			})
		})
	}
}

func TestNobodyListens(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	closeOrFail(t, listener)
	err = openAt(t, jetstream.Config{}, mq.ConnectionConfig{URI: secret.URI("nats://" + address)}).Check(t.Context())
	if err == nil || !strings.Contains(err.Error(), address) {
		t.Errorf("Check() = %v, want an error that names %s", err, address)
	}
}

func TestTheNextAddressIsTried(t *testing.T) {
	t.Parallel()
	e := startExternal(t, nil)
	broker := openAt(t, jetstream.Config{Addresses: []mq.ConnectionConfig{{URI: "nats://127.0.0.1:1"}}},
		mq.ConnectionConfig{Hostname: []string{"127.0.0.1"}, Port: e.opts.Port})
	if err := broker.Check(t.Context()); err != nil {
		t.Errorf("Check() = %v", err)
	}
}

// TestCloseEndsADial has a server that takes connections and never says a word.
func TestCloseEndsADial(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeOrFail(t, listener) })
	broker := openAt(t, jetstream.Config{ConfirmTimeout: time.Hour}, mq.ConnectionConfig{URI: secret.URI("nats://" + listener.Addr().String())})
	checked := make(chan error)
	go func() { checked <- broker.Check(context.Background()) }()
	conn, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeOrFail(t, conn) })

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := broker.Check(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Check() of an ended context = %v, want %v", err, context.Canceled)
	}
	closeOrFail(t, broker)
	if err := <-checked; err == nil {
		t.Error("Check() = nil, want an error")
	}
}

func TestTLS(t *testing.T) {
	t.Parallel()
	certified := httptest.NewTLSServer(nil)
	t.Cleanup(certified.Close)
	e := startExternal(t, func(o *server.Options) {
		o.TLS, o.TLSTimeout, o.TLSConfig = true, patience.Seconds(), &tls.Config{Certificates: certified.TLS.Certificates}
	})
	c := mq.ConnectionConfig{URI: secret.URI(strings.Replace(e.url(), "nats:", "tls:", 1))}
	roots := x509.NewCertPool()
	roots.AddCert(certified.Certificate())
	if err := openAt(t, jetstream.Config{TLS: &tls.Config{RootCAs: roots}}, c).Check(t.Context()); err != nil {
		t.Errorf("Check() = %v", err)
	}
	if err := openAt(t, jetstream.Config{}, c).Check(t.Context()); err == nil {
		t.Error("Check() = nil, although nobody vouches for the certificate")
	}
}

func TestPublishesThatAreRefused(t *testing.T) {
	t.Parallel()
	e := startExternal(t, func(o *server.Options) { o.MaxPayload = 10_000 })
	operator, broker := newOperator(t, e.nats), openExternal(t, e)
	for name, limits := range map[string]natsjs.StreamConfig{
		"full": {MaxMsgs: 1, Discard: natsjs.DiscardNew}, "narrow": {MaxMsgSize: 100}, "free": {},
	} {
		limits.Name, limits.Subjects = jetstream.StreamName(name), []string{jetstream.SubjectName(name)}
		if _, err := operator.js.CreateStream(t.Context(), limits); err != nil {
			t.Fatal(err)
		}
	}
	publish(t, broker, "full", flow.Message{})
	for _, tt := range []struct {
		name string
		to   flow.Address
		body int
		want error // nil: a bad message
		text string
	}{
		{"missing queue", flow.Address{Key: "missing"}, 1, mq.ErrReturned, `"missing"`},
		{"exchange", flow.Address{Exchange: "orders", Key: "free"}, 1, mq.ErrReturned, "no exchanges"},
		{"no name", flow.Address{}, 1, mq.ErrReturned, "empty"},
		{"long name", flow.Address{Key: strings.Repeat("я", 100)}, 1, mq.ErrReturned, "255"},
		{"full queue", flow.Address{Key: "full"}, 1, mq.ErrNacked, "maximum messages"},
		{"too large for the queue", flow.Address{Key: "narrow"}, 200, nil, "exceeds"},
		{"too large for the server", flow.Address{Key: "free"}, 10_001, nil, "10000"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := broker.Publish(t.Context(), tt.to, &flow.Message{Body: make([]byte, tt.body)})
			switch {
			case err == nil || !strings.Contains(err.Error(), tt.text):
				t.Errorf("Publish() = %v, want an error with %s", err, tt.text)
			case tt.want == nil && flow.CodeOf(err) != flow.BadMessage:
				t.Errorf("Publish() = %v (code %d), want code %d", err, flow.CodeOf(err), flow.BadMessage)
			case tt.want != nil && !errors.Is(err, tt.want):
				t.Errorf("Publish() = %v, want %v", err, tt.want)
			}
		})
	}
}

// TestNoAnswerIsUnknown has somebody who takes the message and never answers.
func TestNoAnswerIsUnknown(t *testing.T) {
	t.Parallel()
	e := startExternal(t, nil)
	if _, err := foreign(t, e.url()).SubscribeSync(jetstream.SubjectName("q")); err != nil {
		t.Fatal(err)
	}
	broker := openAt(t, jetstream.Config{ConfirmTimeout: 500 * time.Millisecond}, mq.ConnectionConfig{URI: secret.URI(e.url())})
	eventually(t, "the answer does not come", func() bool {
		err := broker.Publish(t.Context(), flow.Address{Key: "q"}, &flow.Message{})
		return errors.Is(err, mq.ErrUnknown) // until the subscription has come to the server it is returned
	})
}
