package rabbitmq_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"mqgateway/internal/flow"
	"mqgateway/internal/mq"
	"mqgateway/internal/mq/rabbitmq"
	"mqgateway/test/rabbittest"
)

func TestProbeTakesAConnectionOfItsOwn(t *testing.T) {
	t.Parallel()
	_, b := openShared(t)
	if err := b.Check(within(t)); err != nil {
		t.Fatal(err)
	}
	awaitState(t, b, mq.Up)
	for range 3 {
		if err := b.Probe(within(t)); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case s := <-b.States():
		t.Errorf("a probe has made the state %v", s)
	default:
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if err := b.Probe(within(t)); err == nil {
		t.Error("Probe() after Close() succeeds")
	}
}

// silent is an address that takes connections and never says anything, as a host
// does whose processes stand still.
func silent(t *testing.T) *net.TCPAddr {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l.Addr().(*net.TCPAddr)
}

func TestProbeEndsWithItsTime(t *testing.T) {
	t.Parallel()
	a := silent(t)
	b, err := rabbitmq.Open(rabbitmq.Config{
		Addresses:        []mq.ConnectionConfig{{Hostname: []string{a.IP.String()}, Port: a.Port}},
		HandshakeTimeout: limit,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = b.Close() }()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := b.Probe(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Probe() = %v, want the end of its time", err)
	}
}

// Hosts that hang do not keep the other addresses of their manager from being tried.
// They are tried in random order, therefore several times; a handshake may take as long
// as a publish here.
func TestAddressThatHangsIsGivenUp(t *testing.T) {
	t.Parallel()
	v := rabbittest.Shared(t).VHost(t)
	declare(t, v, "q")
	a := silent(t)
	for range 3 {
		b := open(t, v, func(c *rabbitmq.Config) {
			for range 3 {
				c.Addresses = append(c.Addresses, mq.ConnectionConfig{Hostname: []string{a.IP.String()}, Port: a.Port})
			}
		})
		publish(t, b, "q", &flow.Message{})
	}
}

func TestPublishWaitsForAConnectionAsLongAsForAConfirm(t *testing.T) {
	t.Parallel()
	a := silent(t)
	b, err := rabbitmq.Open(rabbitmq.Config{
		Addresses:      []mq.ConnectionConfig{{Hostname: []string{a.IP.String()}, Port: a.Port}},
		ConfirmTimeout: 200 * time.Millisecond, HandshakeTimeout: limit,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = b.Close() }()
	err = b.Publish(t.Context(), toQueue("q"), &flow.Message{})
	if err == nil || errors.Is(err, mq.ErrUnknown) || !strings.Contains(err.Error(), "no answer within 200ms") {
		t.Errorf("Publish() = %v, want that nothing was sent, for want of an answer in time", err)
	}
}
