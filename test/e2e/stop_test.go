package e2e

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"

	amqp "github.com/rabbitmq/amqp091-go"
	"google.golang.org/grpc/codes"

	"mqgateway/test/faults/proxy"
	"mqgateway/test/gatewaytest"
	"mqgateway/test/rabbittest"
)

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

// longGrace is more than Stop of a gateway waits: whatever uses it up fails the test.
const longGrace = "\nterminationGracePeriodSeconds: 600\n"

func TestSecondSignalEndsAtOnce(t *testing.T) {
	t.Parallel()
	vhost := rabbittest.Shared(t).VHost(t)
	s, p := gatewaytest.Serve(t, ""), newPartner(t, vhost, "IN")
	hold := make(chan struct{})
	t.Cleanup(func() { close(hold) })
	s.Set(codes.OK, hold)
	g := gatewaytest.Start(t, consumer(vhost, s)+longGrace)
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
	g.Stop(t)
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
		{"for a try in place", "declare: false, retry: {initial: 10m, max: 10m}", codes.Unavailable, "message failed; trying again in place", 3},
		{"to go back", "onPermanent: requeue", codes.InvalidArgument, "", 3},
		{"for the end of the brake", "brake: {minMessages: 1, pause: 10m}", codes.InvalidArgument, "nearly all messages", 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			vhost := rabbittest.Shared(t).VHost(t)
			s, p := gatewaytest.Serve(t, ""), newPartner(t, vhost, "IN")
			s.Set(tt.fail, nil)
			config := strings.Replace(consumer(vhost, s), "mq:\n", "mq:\n  consumerParams: {concurrency: 1}\n", 1)
			g := gatewaytest.Start(t, failure(config, tt.keys)+longGrace)
			for i := range 3 {
				p.put("IN", amqp.Publishing{MessageId: fmt.Sprint(i), Body: []byte("<Orders/>")})
			}
			s.WaitCalls(t, 1)
			if tt.log != "" {
				g.WaitForLog(t, tt.log)
			}
			g.Stop(t)
			p.waitReady("IN", tt.left)
		})
	}
}

// TestStopWithoutABroker: neither one that was never there nor one that is gone holds
// it up.
func TestStopWithoutABroker(t *testing.T) {
	t.Parallel()
	vhost := rabbittest.Shared(t).VHost(t)
	s := gatewaytest.Serve(t, "")
	newPartner(t, vhost, "IN")
	config, network := through(t, vhost, consumer(vhost, s)+longGrace)
	connected := gatewaytest.Start(t, config)
	connected.WaitReady(t, 200)
	network.Refuse()
	network.Reset()
	connected.WaitReady(t, 503)
	connected.Stop(t)
	never := gatewaytest.Start(t, config)
	never.WaitForLog(t, "manager is down; trying until it answers")
	never.Stop(t)
}

// TestStopWhileTheBrokerHangs: parking waits for a confirm that does not come; the
// broker keeps the message.
func TestStopWhileTheBrokerHangs(t *testing.T) {
	t.Parallel()
	vhost := rabbittest.Shared(t).VHost(t)
	s, p := gatewaytest.Serve(t, ""), newPartner(t, vhost, "IN")
	hold := make(chan struct{})
	s.Set(codes.Unavailable, hold)
	config, network := through(t, vhost, failure(consumer(vhost, s), "retry: {inPlaceMax: 0}")+"\nterminationGracePeriodSeconds: 3\n")
	g := gatewaytest.Start(t, config)
	p.put("IN", amqp.Publishing{MessageId: "m-1", Body: []byte("<Orders/>")})
	s.WaitCalls(t, 1)
	network.Hold(proxy.Both)
	close(hold)
	g.Stop(t)
	network.Heal()
	gatewaytest.Eventually(t, func() error {
		if got := vhost.Messages(t, "IN") + max(0, vhost.Messages(t, "IN.RETRY.1000ms")); got < 1 {
			return fmt.Errorf("messages = %d, want the one", got)
		}
		return nil
	})
}

// TestStopWhileStarting: the broker takes connections and does not answer.
func TestStopWhileStarting(t *testing.T) {
	t.Parallel()
	vhost := rabbittest.Shared(t).VHost(t)
	config, network := through(t, vhost, consumer(vhost, gatewaytest.Serve(t, ""))+longGrace)
	network.Hold(proxy.Both)
	g := gatewaytest.Start(t, config)
	gatewaytest.Eventually(t, func() error {
		if network.Connections() == 0 {
			return errors.New("the gateway does not connect")
		}
		return nil
	})
	g.Stop(t)
}
