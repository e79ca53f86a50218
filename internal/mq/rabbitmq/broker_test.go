package rabbitmq_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"mqgateway/internal/flow"
	"mqgateway/internal/mq"
	"mqgateway/internal/mq/rabbitmq"
	"mqgateway/test/rabbittest"
)

func TestCheckAndStates(t *testing.T) {
	t.Parallel()
	v, b := openShared(t, "q")
	for range 2 {
		if err := b.Check(within(t)); err != nil {
			t.Fatal(err)
		}
	}
	awaitState(t, b, mq.Up)
	v.CloseConnections(t)
	s := awaitState(t, b, mq.Down)
	if s.Err == nil || !strings.Contains(s.Err.Error(), "closed by a test") {
		t.Errorf("down because of %v, want the operator's reason", s.Err)
	}
	publish(t, b, "q", &flow.Message{})
	awaitState(t, b, mq.Up)
	if err := errors.Join(b.Close(), b.Close()); err != nil {
		t.Error(err)
	}
	if s, ok := <-b.States(); !ok || s.Status != mq.Down || s.Err != nil {
		t.Errorf("after Close() the state is %+v (%t), want down without an error", s, ok)
	}
	if _, ok := <-b.States(); ok {
		t.Error("states go on after Close()")
	}
	if err := b.Publish(within(t), toQueue("q"), &flow.Message{}); err == nil || errors.Is(err, mq.ErrUnknown) {
		t.Errorf("Publish() after Close() = %v, want that nothing was sent", err)
	}
	if _, err := b.Subscribe(within(t), mq.Queue{Name: "q"}); err == nil {
		t.Error("Subscribe() after Close() succeeds")
	}
}

// Many who need the connection at once get the same one.
func TestConnectionIsOpenedOnce(t *testing.T) {
	t.Parallel()
	_, b := openShared(t, "q")
	channels := make([]any, 32)
	var group sync.WaitGroup
	for i := range channels {
		group.Go(func() {
			if err := b.Publish(t.Context(), toQueue("q"), &flow.Message{}); err != nil {
				t.Error(err)
			}
			channels[i] = b.SharedChannel()
		})
	}
	group.Wait()
	for _, ch := range channels {
		if ch != channels[0] {
			t.Fatal("publishes went over several channels")
		}
	}
}

func TestNobodyListens(t *testing.T) {
	t.Parallel()
	b, err := rabbitmq.Open(rabbitmq.Config{Addresses: []mq.ConnectionConfig{{
		Hostname: []string{"127.0.0.1", "localhost"}, Port: 1, Username: "u", Password: "secret word",
	}}})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	err = b.Check(within(t))
	if err == nil || !strings.Contains(err.Error(), "127.0.0.1:1") || !strings.Contains(err.Error(), "localhost:1") || strings.Contains(err.Error(), "secret word") {
		t.Errorf("Check() = %v, want both addresses and no password", err)
	}
	if s := awaitState(t, b, mq.Down); s.Err == nil {
		t.Error("down without a reason")
	}
}

func TestWrongPassword(t *testing.T) {
	t.Parallel()
	v := rabbittest.Shared(t).VHost(t)
	b := open(t, v, func(c *rabbitmq.Config) {
		host, port := hostPort(t, v.Node.Address())
		c.Addresses = []mq.ConnectionConfig{{Hostname: []string{host}, Port: port, VirtualHost: v.Name, Username: "guest", Password: "secret word"}}
	})
	err := b.Check(within(t))
	if err == nil || strings.Contains(err.Error(), "secret word") {
		t.Errorf("Check() = %v, want a refusal without the password", err)
	}
}

// One node of its own for everything that a test can do to it: a boot takes seconds.
func TestNodeInTrouble(t *testing.T) {
	n := rabbittest.Start(t)
	v := n.VHost(t)
	declare(t, v, "q")
	t.Run("blocked", func(t *testing.T) { testBlocked(t, v) })
	t.Run("paused", func(t *testing.T) { testPaused(t, v) })
	t.Run("full", func(t *testing.T) { testFull(t, v) })
	t.Run("killed", func(t *testing.T) { testKilled(t, v) })
}

func testBlocked(t *testing.T, v *rabbittest.VHost) {
	b := open(t, v)
	put(t, v, "q", 2)
	sub := subscribe(t, b, "q", 1)
	publish(t, b, "q", &flow.Message{ID: "before"})
	v.Node.SetMemoryAlarm(t, true)
	// The broker tells only who publishes, when it has the first message.
	ctx, giveUp := context.WithCancel(t.Context())
	caught := make(chan error)
	go func() { caught <- b.Publish(ctx, toQueue("q"), &flow.Message{ID: "caught"}) }()
	if s := awaitState(t, b, mq.Blocked); s.Err == nil || !strings.Contains(s.Err.Error(), "memory") {
		t.Errorf("blocked because of %v, want memory", s.Err)
	}
	giveUp()
	if err := <-caught; err != nil && !errors.Is(err, mq.ErrUnknown) {
		t.Errorf("first publish into the alarm: %v, want none or %v", err, mq.ErrUnknown)
	}
	err := b.Publish(within(t), toQueue("q"), &flow.Message{ID: "refused"})
	if err == nil || errors.Is(err, mq.ErrUnknown) || !strings.Contains(err.Error(), "nothing was sent") || !strings.Contains(err.Error(), "memory") {
		t.Errorf("publish while blocked: %v, want that nothing was sent, for memory", err)
	}
	if err := b.Check(within(t)); err != nil {
		t.Errorf("Check() while blocked = %v", err)
	}
	for range 2 {
		if err := receive(t, sub).Settle(mq.Ack); err != nil {
			t.Errorf("settling while blocked: %v", err)
		}
	}
	v.Node.SetMemoryAlarm(t, false)
	awaitState(t, b, mq.Up)
	publish(t, b, "q", &flow.Message{ID: "after"})
	for _, want := range []string{"before", "caught", "after"} {
		d := receive(t, sub)
		if d.Message.ID != want {
			t.Errorf("message %q, want %q", d.Message.ID, want)
		}
		if err := d.Settle(mq.Ack); err != nil {
			t.Error(err)
		}
	}
}

// A broker that is frozen: publishes end in time, and the connection is given up.
func testPaused(t *testing.T, v *rabbittest.VHost) {
	hasty, patient := open(t, v, func(c *rabbitmq.Config) { c.ConfirmTimeout = 300 * time.Millisecond }), open(t, v)
	b := open(t, v, func(c *rabbitmq.Config) {
		host, port := hostPort(t, v.Node.Address())
		c.Addresses = []mq.ConnectionConfig{{Hostname: []string{host}, Port: port, VirtualHost: v.Name, Heartbeat: 2 * time.Second}}
	})
	confirmed(t, hasty, "q")
	publish(t, patient, "q", &flow.Message{})
	publish(t, b, "q", &flow.Message{})
	awaitState(t, b, mq.Up)
	v.Node.Pause(t)
	defer v.Node.Resume(t)
	eventually(t, "a publish ends by the confirm timeout", func() bool {
		err := hasty.Publish(within(t), toQueue("q"), &flow.Message{})
		return errors.Is(err, mq.ErrUnknown) && strings.Contains(err.Error(), "no confirm within 300ms")
	})
	ctx, giveUp := context.WithCancel(t.Context())
	given := make(chan error)
	go func() { given <- patient.Publish(ctx, toQueue("q"), &flow.Message{}) }()
	eventually(t, "a message is on its way", func() bool { return patient.InFlight() == 1 })
	giveUp()
	if err := <-given; !errors.Is(err, mq.ErrUnknown) || !errors.Is(err, context.Canceled) {
		t.Errorf("publish by the context: %v, want %v and %v", err, mq.ErrUnknown, context.Canceled)
	}
	// Writers fill all buffers, and the end of the connection must free them.
	var group sync.WaitGroup
	for range 32 {
		group.Go(func() {
			err := b.Publish(within(t), toQueue("q"), &flow.Message{Body: make([]byte, 1<<20)})
			if err == nil {
				t.Error("a frozen broker confirms")
			}
		})
	}
	if s := awaitState(t, b, mq.Down); s.Err == nil {
		t.Error("down without a reason")
	}
	group.Wait()
	v.Node.Resume(t)
	publish(t, b, "q", &flow.Message{})
}

// A broker that is frozen reads nothing, so that no more can be sent to it at some time.
// Nobody waits longer for that than for a confirm, and what is told of each message still
// holds when the broker goes on.
func testFull(t *testing.T, v *rabbittest.VHost) {
	declare(t, v, "full")
	b := open(t, v, func(c *rabbitmq.Config) {
		c.ConfirmTimeout = 4 * time.Second
		host, port := hostPort(t, v.Node.Address())
		c.Addresses = []mq.ConnectionConfig{{Hostname: []string{host}, Port: port, VirtualHost: v.Name, Heartbeat: time.Minute}}
	})
	sent := confirmed(t, b, "full")
	shared := b.SharedChannel()
	v.Node.Pause(t)
	defer v.Node.Resume(t)
	results := make(chan error, 64)
	for range cap(results) {
		go func() { results <- b.Publish(within(t), toQueue("full"), &flow.Message{Body: make([]byte, 1<<20)}) }()
	}
	unknown, unsent := 0, 0
	for range cap(results) {
		switch err := <-results; {
		case errors.Is(err, mq.ErrUnknown):
			unknown++
		case err != nil && strings.Contains(err.Error(), "nothing was sent"):
			unsent++
		default:
			t.Errorf("publishing to a frozen broker: %v", err)
		}
	}
	if unknown == 0 || unsent == 0 {
		t.Errorf("%d messages are told to be unknown and %d not to be sent, want some of both", unknown, unsent)
	}
	v.Node.Resume(t)
	sent += unknown + confirmed(t, b, "full")
	eventually(t, "the messages come that may have been sent", func() bool { return v.Messages(t, "full") >= sent })
	if got := v.Messages(t, "full"); got != sent {
		t.Errorf("%d messages in the queue, want %d: none comes that was not sent", got, sent)
	}
	if b.SharedChannel() != shared {
		t.Error("the connection was given up before its time")
	}
}

// In flight when the broker dies means unknown.
func testKilled(t *testing.T, v *rabbittest.VHost) {
	b := open(t, v)
	publish(t, b, "q", &flow.Message{})
	v.Node.Pause(t)
	results := make(chan error, 8)
	for range cap(results) {
		go func() { results <- b.Publish(context.WithoutCancel(t.Context()), toQueue("q"), &flow.Message{}) }()
	}
	v.Node.Kill(t)
	for range cap(results) {
		if err := <-results; err == nil {
			t.Error("a dead broker confirms")
		}
	}
	v.Node.Start(t)
	publish(t, b, "q", &flow.Message{})
}
