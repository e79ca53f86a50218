package rabbitmq_test

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"mqgateway/internal/flow"
	"mqgateway/internal/mq"
	"mqgateway/internal/mq/rabbitmq"
	"mqgateway/test/rabbittest"
)

func TestProbeTakesAConnectionOfItsOwn(t *testing.T) {
	t.Parallel()
	v := rabbittest.Shared(t).VHost(t)
	b := open(t, v)
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
	b, err := rabbitmq.Open(rabbitmq.Config{Addresses: []mq.ConnectionConfig{{Hostname: []string{a.IP.String()}, Port: a.Port}}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = b.Close() }()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	start := time.Now()
	if err := b.Probe(ctx); err == nil || time.Since(start) > 2*time.Second {
		t.Errorf("Probe() = %v after %v, want an error at the end of its time", err, time.Since(start))
	}
}

// Hosts that hang do not keep the other addresses of their manager from being tried.
// They are tried in random order, therefore several times; a handshake may take longer
// than the confirm timeout here.
func TestAddressThatHangsIsGivenUp(t *testing.T) {
	t.Parallel()
	v := rabbittest.Shared(t).VHost(t)
	declare(t, v, "q")
	a := silent(t)
	for range 3 {
		b := open(t, v, func(c *rabbitmq.Config) {
			c.ConfirmTimeout = 9 * time.Second
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
		ConfirmTimeout: 200 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = b.Close() }()
	start := time.Now()
	err = b.Publish(t.Context(), toQueue("q"), &flow.Message{})
	if took := time.Since(start); err == nil || errors.Is(err, mq.ErrUnknown) || took > 5*time.Second {
		t.Errorf("Publish() = %v after %v, want that nothing was sent, soon", err, took)
	}
}
