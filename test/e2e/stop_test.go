package e2e

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"google.golang.org/grpc/codes"

	"mqgateway/test/gatewaytest"
	"mqgateway/test/rabbittest"
)

// stopsWithin sends SIGTERM and holds that the gateway ends well, in that time.
func stopsWithin(t *testing.T, g *gatewaytest.Gateway, limit time.Duration) {
	t.Helper()
	start := time.Now()
	g.Stop(t)
	if took := time.Since(start); took > limit {
		t.Errorf("stopping took %v, want no more than %v", took, limit)
	}
}

// waitReady waits until so many messages of a queue are free for others.
func (p *partner) waitReady(queue string, want int) {
	p.t.Helper()
	gatewaytest.Eventually(p.t, func() error {
		q, err := p.channel.QueueDeclarePassive(queue, true, false, false, false, nil)
		if err != nil {
			p.t.Fatal(err)
		}
		if q.Messages != want {
			return fmt.Errorf("%d messages in %q are ready, want %d", q.Messages, queue, want)
		}
		return nil
	})
}

// soon is much less than any pause of these tests, on a busy machine.
const soon = 15 * time.Second

func TestSecondSignalEndsAtOnce(t *testing.T) {
	t.Parallel()
	vhost := rabbittest.Shared(t).VHost(t)
	s, p := gatewaytest.Serve(t, ""), newPartner(t, vhost, "IN")
	hold := make(chan struct{})
	t.Cleanup(func() { close(hold) })
	s.Set(codes.OK, hold)
	g := gatewaytest.Start(t, consumer(vhost, s)+"\nterminationGracePeriodSeconds: 300\n")
	p.put("IN", amqp.Publishing{MessageId: "m-1", Body: []byte("<Orders/>")})
	s.WaitCalls(t, 1)
	g.Signal(t, syscall.SIGTERM)
	g.WaitForLog(t, "gateway is stopping")
	g.Signal(t, syscall.SIGTERM)
	state := g.WaitEnd(t)
	if status, _ := state.Sys().(syscall.WaitStatus); !status.Signaled() || status.Signal() != syscall.SIGTERM {
		t.Errorf("the gateway ended with %v, want it ended by the signal", state)
	}
	p.waitReady("IN", 1)
}

// TestGraceThatIsNotEnough: what is still in work then goes back, and the gateway ends
// well all the same.
func TestGraceThatIsNotEnough(t *testing.T) {
	t.Parallel()
	vhost := rabbittest.Shared(t).VHost(t)
	s, p := gatewaytest.Serve(t, ""), newPartner(t, vhost, "IN")
	hold := make(chan struct{})
	t.Cleanup(func() { close(hold) })
	s.Set(codes.OK, hold)
	g := gatewaytest.Start(t, consumer(vhost, s)+"\nterminationGracePeriodSeconds: 1\n")
	p.put("IN", amqp.Publishing{MessageId: "m-1", Body: []byte("<Orders/>")})
	s.WaitCalls(t, 1)
	stopsWithin(t, g, soon)
	p.waitReady("IN", 1)
	if got := g.Logged("message"); len(got) > 0 {
		t.Errorf("logged %v, want nothing: the message did not fail", got)
	}
	s.Set(codes.OK, nil)
	gatewaytest.Start(t, consumer(vhost, s))
	if again := s.WaitCalls(t, 2)[1].Message; again.GetMessageId() != "m-1" {
		t.Errorf("call = %v, want the same message", again)
	}
	p.waitEmpty("IN")
}

// TestStopWhileMessagesWait: whatever a message waits for, it goes back at once.
func TestStopWhileMessagesWait(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, keys string
		fail       codes.Code
		log        string
		left       int // of three messages; the others are dead letters
	}{
		{"for a try in place", "declare: false, retry: {initial: 50s, max: 50s}", codes.Unavailable, "message failed; trying again in place", 3},
		{"to go back", "onPermanent: requeue", codes.InvalidArgument, "", 3},
		{"for the end of the brake", "brake: {minMessages: 1, pause: 50s}", codes.InvalidArgument, "nearly all messages", 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			vhost := rabbittest.Shared(t).VHost(t)
			s, p := gatewaytest.Serve(t, ""), newPartner(t, vhost, "IN")
			s.Set(tt.fail, nil)
			config := strings.Replace(consumer(vhost, s), "mq:\n", "mq:\n  consumerParams: {concurrency: 1}\n", 1)
			g := gatewaytest.Start(t, failure(config, tt.keys)+"\nterminationGracePeriodSeconds: 50\n")
			for i := range 3 {
				p.put("IN", amqp.Publishing{MessageId: fmt.Sprint(i), Body: []byte("<Orders/>")})
			}
			s.WaitCalls(t, 1)
			if tt.log != "" {
				g.WaitForLog(t, tt.log)
			}
			stopsWithin(t, g, soon)
			p.waitReady("IN", tt.left)
		})
	}
}

// TestStopWithoutABroker: neither one that was never there nor one that is gone holds
// it up.
func TestStopWithoutABroker(t *testing.T) {
	t.Parallel()
	node := rabbittest.Start(t)
	vhost := node.VHost(t)
	s := gatewaytest.Serve(t, "")
	newPartner(t, vhost, "IN")
	config := consumer(vhost, s) + "\nterminationGracePeriodSeconds: 50\n"
	connected := gatewaytest.Start(t, config)
	connected.WaitReady(t, 200)
	node.Stop(t)
	connected.WaitReady(t, 503)
	stopsWithin(t, connected, soon)
	never := gatewaytest.Start(t, config)
	never.WaitForLog(t, "manager is down; trying until it answers")
	stopsWithin(t, never, soon)
}

// TestStopWhileTheBrokerHangs: parking waits for a confirm that does not come; the
// broker keeps the message.
func TestStopWhileTheBrokerHangs(t *testing.T) {
	t.Parallel()
	node := rabbittest.Start(t)
	vhost := node.VHost(t)
	s, p := gatewaytest.Serve(t, ""), newPartner(t, vhost, "IN")
	hold := make(chan struct{})
	s.Set(codes.Unavailable, hold)
	g := gatewaytest.Start(t, failure(consumer(vhost, s), "retry: {inPlaceMax: 0}")+"\nterminationGracePeriodSeconds: 3\n")
	p.put("IN", amqp.Publishing{MessageId: "m-1", Body: []byte("<Orders/>")})
	s.WaitCalls(t, 1)
	node.Pause(t)
	close(hold)
	stopsWithin(t, g, soon)
	node.Resume(t)
	gatewaytest.Eventually(t, func() error {
		if got := vhost.Messages(t, "IN") + max(0, vhost.Messages(t, "IN.RETRY.1000ms")); got != 1 {
			return fmt.Errorf("messages = %d, want 1", got)
		}
		return nil
	})
}

// TestStopWhileStarting: the broker takes connections and does not answer.
func TestStopWhileStarting(t *testing.T) {
	t.Parallel()
	node := rabbittest.Start(t)
	vhost := node.VHost(t)
	node.Pause(t)
	defer node.Resume(t)
	g := gatewaytest.Start(t, consumer(vhost, gatewaytest.Serve(t, "")))
	stopsWithin(t, g, soon)
}
