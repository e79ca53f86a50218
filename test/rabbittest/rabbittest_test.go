package rabbittest_test

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"mqgateway/test/leaks"
	"mqgateway/test/rabbittest"
)

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		if err := rabbittest.Run(program, "max_message_size = 1000"); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(rabbittest.Main(m, leaks.Find))
}

func publish(t *testing.T, ch *amqp.Channel, queue string) {
	t.Helper()
	if _, err := ch.QueueDeclare(queue, true, false, false, false, nil); err != nil {
		t.Fatal(err)
	}
	if err := ch.Confirm(false); err != nil {
		t.Fatal(err)
	}
	confirm, err := ch.PublishWithDeferredConfirm("", queue, false, false, amqp.Publishing{DeliveryMode: amqp.Persistent, Body: []byte("body")})
	if err != nil {
		t.Fatal(err)
	}
	if !confirm.Wait() {
		t.Fatal("the message was not confirmed")
	}
}

func TestVHostsAreSeparate(t *testing.T) {
	n := rabbittest.Shared(t)
	a, b := n.VHost(t), n.VHost(t)
	publish(t, a.Channel(t), "очередь")
	if got := a.Messages(t, "очередь"); got != 1 {
		t.Errorf("Messages() = %d, want 1", got)
	}
	if got := b.Messages(t, "очередь"); got != -1 {
		t.Errorf("Messages() of a queue that does not exist = %d, want -1", got)
	}
}

func TestMessagesOfQuorumQueuesThatAreBeingMade(t *testing.T) {
	v := rabbittest.Shared(t).VHost(t)
	ch := v.Channel(t)
	for i := range 10 {
		name := strconv.Itoa(i)
		made := make(chan error, 1) // read after the counting, which may fail the test
		go func() {
			_, err := ch.QueueDeclare(name, true, false, false, false, amqp.Table{amqp.QueueTypeArg: amqp.QueueTypeQuorum})
			made <- err
		}()
		count, end := -1, time.Now().Add(2*time.Minute)
		for count < 0 && time.Now().Before(end) {
			count = v.Messages(t, name)
		}
		if err := <-made; err != nil || count != 0 {
			t.Errorf("Messages() = %d, %v, want 0 once it is made", count, err)
		}
	}
}

func TestCloseConnections(t *testing.T) {
	n := rabbittest.Shared(t)
	a, b := n.VHost(t), n.VHost(t)
	closed := a.Channel(t).NotifyClose(make(chan *amqp.Error, 1))
	other := b.Channel(t)
	a.CloseConnections(t)
	if err := <-closed; err == nil || err.Code != amqp.ConnectionForced {
		t.Errorf("closed with %v, want code %d", err, amqp.ConnectionForced)
	}
	if other.IsClosed() {
		t.Error("the connection of another virtual host is closed")
	}
}

func TestCloseConnectionsByName(t *testing.T) {
	n := rabbittest.Shared(t)
	config := amqp.Config{Properties: amqp.NewConnectionProperties()}
	config.Properties.SetClientConnectionName("named")
	conn, err := amqp.DialConfig(n.VHost(t).URI(), config)
	if err != nil {
		t.Fatal(err)
	}
	closed := conn.NotifyClose(make(chan *amqp.Error, 1))
	n.CloseConnections(t, "named")
	if err := <-closed; err == nil || err.Code != amqp.ConnectionForced {
		t.Errorf("closed with %v, want code %d", err, amqp.ConnectionForced)
	}
}

// One node for all that a test can do to it, since each boot takes seconds.
func TestNodeOfItsOwn(t *testing.T) {
	t.Parallel()
	n := rabbittest.Start(t, "max_message_size = 1000")
	v := n.VHost(t)
	publish(t, v.Channel(t), "q")
	refuseLarge(t, n, v)

	n.Stop(t)
	if _, err := amqp.Dial(v.URI()); err == nil {
		t.Error("connected to a server that was stopped")
	}
	n.Start(t)
	if got := v.Messages(t, "q"); got != 1 {
		t.Errorf("Messages() after a stop = %d, want 1", got)
	}

	starve(t, n, v)
	pause(t, n, v)
	publish(t, v.Channel(t), "q")

	n.Kill(t)
	n.Start(t)
	if got := v.Messages(t, "q"); got != 2 {
		t.Errorf("Messages() after a kill = %d, want 2", got)
	}
}

// refuseLarge expects that the settings hold, and that the log tells so.
func refuseLarge(t *testing.T, n *rabbittest.Node, v *rabbittest.VHost) {
	t.Helper()
	ch := v.Channel(t)
	closed := ch.NotifyClose(make(chan *amqp.Error, 1))
	if err := ch.Publish("", "q", false, false, amqp.Publishing{Body: make([]byte, 1001)}); err != nil {
		t.Fatal(err)
	}
	if err := <-closed; err == nil || err.Code != amqp.PreconditionFailed {
		t.Errorf("channel closed with %v, want code %d", err, amqp.PreconditionFailed)
	}
	end := time.Now().Add(2 * time.Minute)
	for !strings.Contains(n.Log(t), "larger than configured max size 1000") {
		if time.Now().After(end) {
			t.Fatalf("the log does not tell of the refused message:\n%s", n.Log(t))
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// starve expects that a connection that publishes is blocked by the alarm.
func starve(t *testing.T, n *rabbittest.Node, v *rabbittest.VHost) {
	t.Helper()
	conn, err := amqp.Dial(v.URI())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	blocked := conn.NotifyBlocked(make(chan amqp.Blocking, 2))
	ch, err := conn.Channel()
	if err != nil {
		t.Fatal(err)
	}
	n.SetMemoryAlarm(t, true)
	if err := ch.Publish("", "nowhere", false, false, amqp.Publishing{}); err != nil {
		t.Error(err)
	}
	if b := <-blocked; !b.Active {
		t.Errorf("first notice is %+v, want active", b)
	}
	n.SetMemoryAlarm(t, false)
	if b := <-blocked; b.Active {
		t.Errorf("second notice is %+v, want not active", b)
	}
}

// pause expects that a paused server answers when it is resumed, and not before.
func pause(t *testing.T, n *rabbittest.Node, v *rabbittest.VHost) {
	t.Helper()
	ch := v.Channel(t)
	n.Pause(t)
	declared := make(chan error, 1)
	go func() {
		_, err := ch.QueueDeclarePassive("q", true, false, false, false, nil)
		declared <- err
	}()
	select {
	case err := <-declared:
		t.Fatalf("a paused server answers %v", err)
	case <-time.After(200 * time.Millisecond):
	}
	n.Resume(t)
	if err := <-declared; err != nil {
		t.Error(err)
	}
}
