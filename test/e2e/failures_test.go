package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"google.golang.org/grpc/codes"

	pb "mqgateway/api/proto/gateway"
	"mqgateway/test/gatewaytest"
	"mqgateway/test/rabbittest"
)

// source is a queue IN of either broker, with a gateway that reads it.
type source struct {
	manager string
	start   func(t *testing.T, s *gatewaytest.Service, keys string) *gatewaytest.Gateway
	put     func(t *testing.T, g *gatewaytest.Gateway, id string)
}

// onBothBrokers runs a test on RabbitMQ and on the broker inside the process.
func onBothBrokers(t *testing.T, test func(*testing.T, source)) {
	t.Run("rabbitmq", func(t *testing.T) {
		t.Parallel()
		vhost := rabbittest.Shared(t).VHost(t)
		p := newPartner(t, vhost, "IN")
		test(t, source{
			manager: "QM1",
			start: func(t *testing.T, s *gatewaytest.Service, keys string) *gatewaytest.Gateway {
				return gatewaytest.Start(t, failure(consumer(vhost, s), keys))
			},
			put: func(_ *testing.T, _ *gatewaytest.Gateway, id string) {
				p.put("IN", amqp.Publishing{MessageId: id, Body: []byte("<Orders/>")})
			},
		})
	})
	t.Run("embedded", func(t *testing.T) {
		t.Parallel()
		directory := t.TempDir()
		test(t, source{
			manager: "embedded",
			start: func(t *testing.T, s *gatewaytest.Service, keys string) *gatewaytest.Gateway {
				return gatewaytest.Start(t, fmt.Sprintf(`
mq:
  provider: embedded
  workMode: async
  embedded: {directory: %q}
  connection: {receiveQueue: IN, sendQueue: IN}
  failure: {%s}
grpc: {client: {settings: {default: {hostname: 127.0.0.1, port: %s}}}}
routing: {routeList: [{destinationExpression: "'orders'"}]}
`, directory, keys, s.Port()))
			},
			put: func(t *testing.T, g *gatewaytest.Gateway, id string) {
				if _, err := client(t, g).ProcessMessage(t.Context(), &pb.ProtoMessage{MessageId: id, Body: "<Orders/>"}); err != nil {
					t.Fatal(err)
				}
			},
		})
	})
}

// TestParkedMessagesOutliveTheGateway: nothing is forgotten, nothing comes back early,
// and the tries go on being counted.
func TestParkedMessagesOutliveTheGateway(t *testing.T) {
	t.Parallel()
	onBothBrokers(t, func(t *testing.T, from source) {
		const (
			pause  = 3 * time.Second
			tries  = 3
			keys   = "retry: {initial: 3s, max: 3s, inPlaceMax: 0, attempts: 3}"
			parked = `gateway_messages_parked_total{code="602",flow="queue-to-service",manager=%q,queue="IN"}`
		)
		s := gatewaytest.Serve(t, "")
		s.Set(codes.Unavailable, nil)
		var letters []map[string]any
		// A gateway that stops slowly may see the next try, too.
		for n := 0; n < tries; n = len(s.Calls()) {
			g := from.start(t, s, keys)
			if n == 0 {
				from.put(t, g, "m-1")
			}
			if s.WaitCalls(t, n+1); n+1 < tries {
				g.WaitMetricOf(t, fmt.Sprintf(parked, from.manager), 1)
			} else {
				g.WaitForLog(t, "message is moved to the dead letter queue")
			}
			g.Stop(t)
			letters = append(letters, g.Logged("message is moved to the dead letter queue")...)
		}
		calls := s.Calls()
		for i := range len(calls) - 1 {
			if waited := calls[i+1].At.Sub(calls[i].At); waited < pause-200*time.Millisecond {
				t.Errorf("the message is back after %v, want no less than %v", waited, pause)
			}
		}
		if len(calls) != tries || len(letters) != 1 || letters[0]["message"] != "m-1" || letters[0]["attempts"] != 3.0 || letters[0]["code"] != 602.0 {
			t.Errorf("%d calls, dead letters %v, want the message after three tries", len(calls), letters)
		}
	})
}

// TestServiceThatIsDownDoesNotHoldUpTheOthers: its messages are parked, and come when
// it is back.
func TestServiceThatIsDownDoesNotHoldUpTheOthers(t *testing.T) {
	t.Parallel()
	vhost := rabbittest.Shared(t).VHost(t)
	s, p := gatewaytest.Serve(t, ""), newPartner(t, vhost, "IN")
	s.Refuse("down", codes.Unavailable)
	g := gatewaytest.Start(t, strings.Replace(consumer(vhost, s), "mq:\n", "mq:\n  consumerParams: {concurrency: 4}\n", 1))
	const n = 60
	put := func(name string) {
		for i := range n {
			p.put("IN", amqp.Publishing{MessageId: fmt.Sprint(name, i), Body: []byte("<" + name + "/>")})
		}
	}
	put("Down")
	put("Up")
	waitTaken(t, s, "up", n)
	gatewaytest.Eventually(t, func() error {
		if got := vhost.Messages(t, "IN.RETRY.1000ms"); got <= 0 {
			return fmt.Errorf("messages in the delay queue = %d, want some", got)
		}
		return nil
	})
	s.Refuse("down", codes.OK)
	waitTaken(t, s, "down", n)
	p.waitEmpty("IN")
	p.waitEmpty("IN.RETRY.1000ms")
	g.WaitMetric(t, `gateway_messages_in_work{manager="QM1",queue="IN"}`, 0)
}

// waitTaken waits until calls of an authority with n different messages did not fail.
func waitTaken(t *testing.T, s *gatewaytest.Service, authority string, n int) {
	t.Helper()
	gatewaytest.Eventually(t, func() error {
		ids := map[string]bool{}
		for _, c := range s.Calls() {
			if c.Authority == authority && !c.Failed {
				ids[c.Message.GetMessageId()] = true
			}
		}
		if len(ids) != n {
			return fmt.Errorf("%d messages were taken by %q, want %d", len(ids), authority, n)
		}
		return nil
	})
}

// TestMessageIsDeadLetteredAfterItsDeadline: its Expiry counts from the first taking,
// and is not the broker's while the message is parked.
func TestMessageIsDeadLetteredAfterItsDeadline(t *testing.T) {
	t.Parallel()
	vhost := rabbittest.Shared(t).VHost(t)
	s, p := gatewaytest.Serve(t, ""), newPartner(t, vhost, "IN")
	s.Set(codes.Unavailable, nil)
	g := gatewaytest.Start(t, failure(consumer(vhost, s), "retry: {initial: 4s, max: 4s, inPlaceMax: 0}"))
	g.WaitMetric(t, `gateway_queue_subscribed{manager="QM1",queue="IN"}`, 1)
	p.put("IN", amqp.Publishing{MessageId: "m-1", Expiration: "10000", Body: []byte("<Orders/>")})
	letter := p.take("IN.DLQ")
	if code := letter.Headers["x-gateway-error-code"]; code != "608" || letter.Headers["x-gateway-original-expiration"] != "10000" || letter.Expiration != "" {
		t.Errorf("dead letter = %+v, want 608 and the expiration kept", letter)
	}
	if got := len(s.Calls()); got < 1 || got > 3 {
		t.Errorf("calls = %d, want at most 3 within ten seconds", got)
	}
	g.WaitMetric(t, `gateway_errors_total{code="608",flow="queue-to-service"}`, 1)
}

func TestWhatBecomesOfFailedMessagesIsChosen(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, keys string
		code       codes.Code
		queue      string // where the message ends; empty is nowhere
	}{
		{"permanent reject", "onPermanent: reject", codes.InvalidArgument, "REJECTED"},
		{"permanent discard", "onPermanent: discard", codes.InvalidArgument, ""},
		{"permanent to another queue", "deadLetterQueue: LETTERS", codes.InvalidArgument, "LETTERS"},
		{"permanent to a classic queue", "declare: classic", codes.InvalidArgument, "IN.DLQ"},
		{"exhausted dead letter", "retry: {attempts: 2}", codes.Unavailable, "IN.DLQ"},
		{"exhausted reject", "onExhausted: reject, retry: {attempts: 2}", codes.Unavailable, "REJECTED"},
		{"exhausted discard", "onExhausted: discard, retry: {for: 0}", codes.Unavailable, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			vhost := rabbittest.Shared(t).VHost(t)
			s, p := gatewaytest.Serve(t, ""), newPartner(t, vhost, "REJECTED")
			arguments := amqp.Table{"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "REJECTED"}
			if _, err := p.channel.QueueDeclare("IN", true, false, false, false, arguments); err != nil {
				t.Fatal(err)
			}
			s.Set(tt.code, nil)
			gatewaytest.Start(t, failure(consumer(vhost, s), tt.keys))
			p.put("IN", amqp.Publishing{MessageId: "m-1", Body: []byte("<Orders/>")})
			s.WaitCalls(t, 1)
			if tt.queue != "" && p.take(tt.queue).MessageId != "m-1" {
				t.Errorf("the message in %q is another one", tt.queue)
			}
			p.waitEmpty("IN")
			for _, queue := range []string{"IN.DLQ", "LETTERS", "REJECTED"} {
				if got := vhost.Messages(t, queue); got > 0 {
					t.Errorf("messages in %q = %d, want none", queue, got)
				}
			}
		})
	}
}

// TestRequeuedMessageIsTriedForEver: once a second, and never lost.
func TestRequeuedMessageIsTriedForEver(t *testing.T) {
	t.Parallel()
	onBothBrokers(t, func(t *testing.T, from source) {
		s := gatewaytest.Serve(t, "")
		s.Set(codes.InvalidArgument, nil)
		g := from.start(t, s, "onPermanent: requeue")
		from.put(t, g, "m-1")
		calls := s.WaitCalls(t, 3)
		if took := calls[2].At.Sub(calls[0].At); took < 2*time.Second {
			t.Errorf("three calls within %v, want no more than one a second", took)
		}
		s.Set(codes.OK, nil)
		g.WaitForLog(t, "message failed; it goes back to its queue")
		g.WaitMetric(t, fmt.Sprintf(`gateway_messages_settled_total{manager=%q,outcome="ack",queue="IN"}`, from.manager), 1)
	})
}

// TestWrongRolloutDoesNotEmptyTheQueue: a mesh that does not know the service answers
// UNIMPLEMENTED; when it does again, the queue is handled to its end.
func TestWrongRolloutDoesNotEmptyTheQueue(t *testing.T) {
	t.Parallel()
	vhost := rabbittest.Shared(t).VHost(t)
	s, p := gatewaytest.Serve(t, ""), newPartner(t, vhost, "IN")
	s.Set(codes.Unimplemented, nil)
	config := strings.Replace(consumer(vhost, s), "mq:\n", "mq:\n  consumerParams: {concurrency: 4}\n", 1)
	g := gatewaytest.Start(t, failure(config, "brake: {minMessages: 10, pause: 2s}"))
	const n = 200
	for i := range n {
		p.put("IN", amqp.Publishing{MessageId: fmt.Sprint(i), Body: []byte("<Orders/>")})
	}
	const braked = `gateway_queue_braked{manager="QM1",queue="IN"}`
	g.WaitMetric(t, braked, 1)
	g.WaitReady(t, 200)
	s.WaitCalls(t, 15) // probes among them
	s.Set(codes.OK, nil)
	p.waitEmpty("IN")
	g.WaitMetric(t, braked, 0)
	letters := vhost.Messages(t, "IN.DLQ")
	if letters < 10 || letters > n/2 {
		t.Errorf("dead letters = %d of %d, want no more than pulled the brake, and some probes", letters, n)
	}
	if got := len(s.Calls()); got != n {
		t.Errorf("calls = %d, want each message once", got)
	}
	if a, b := len(g.Logged("nearly all messages of the queue fail for good")), len(g.Logged("the queue's messages are handled again")); a != 1 || b != 1 {
		t.Errorf("the log tells of %d brakes and %d ends, want one each", a, b)
	}
}

// TestOrderIsKept: a message that fails is tried again before the next one.
func TestOrderIsKept(t *testing.T) {
	t.Parallel()
	vhost := rabbittest.Shared(t).VHost(t)
	s, p := gatewaytest.Serve(t, ""), newPartner(t, vhost, "IN")
	s.Refuse("third", codes.Unavailable)
	g := gatewaytest.Start(t, strings.Replace(consumer(vhost, s), "mq:\n", "mq:\n  consumerParams: {ordered: true}\n", 1))
	for _, name := range []string{"First", "Second", "Third", "Fourth", "Fifth"} {
		p.put("IN", amqp.Publishing{MessageId: name, Body: []byte("<" + name + "/>")})
	}
	g.WaitMetricOf(t, `gateway_retries_total{code="602",flow="queue-to-service",manager="QM1",queue="IN"}`, 5) // longer than others are retried in place
	s.Refuse("third", codes.OK)
	p.waitEmpty("IN")
	var order []string
	for _, c := range s.Calls() {
		order = append(order, c.Authority)
	}
	if got, want := strings.Join(slices.Compact(order), " "), "first second third fourth fifth"; got != want {
		t.Errorf("calls = %s, want %s", got, want)
	}
}

// TestQueueIsReadAgainDuringALongCall: nobody is free to notice that the connection is
// lost.
func TestQueueIsReadAgainDuringALongCall(t *testing.T) {
	t.Parallel()
	vhost := rabbittest.Shared(t).VHost(t)
	s, p := gatewaytest.Serve(t, ""), newPartner(t, vhost, "IN")
	hold := make(chan struct{})
	s.Set(codes.OK, hold)
	g := gatewaytest.Start(t, strings.Replace(consumer(vhost, s), "mq:\n", "mq:\n  consumerParams: {ordered: true}\n", 1))
	p.put("IN", amqp.Publishing{MessageId: "1", Body: []byte("<First/>")})
	p.put("IN", amqp.Publishing{MessageId: "2", Body: []byte("<Second/>")})
	s.WaitCalls(t, 1)
	vhost.CloseConnections(t)
	g.WaitForLog(t, "reading the queue was interrupted")
	g.WaitMetric(t, `gateway_queue_subscribed{manager="QM1",queue="IN"}`, 1)
	if n := len(s.Calls()); n != 1 {
		t.Errorf("%d calls while the first one is held, want 1", n)
	}
	close(hold)
	newPartner(t, vhost).waitEmpty("IN")
	var order []string
	for _, c := range s.Calls() {
		order = append(order, c.Message.GetMessageId())
	}
	if got, want := strings.Join(order, " "), "1 1 2"; got != want {
		t.Errorf("calls = %s, want %s", got, want)
	}
}

// TestEveryMessageFitsItsDeadLetter: headers that the gateway would not take from a
// microservice are no reason for a message to come back for ever.
func TestEveryMessageFitsItsDeadLetter(t *testing.T) {
	t.Parallel()
	vhost := rabbittest.Shared(t).VHost(t)
	s, p := gatewaytest.Serve(t, ""), newPartner(t, vhost, "IN")
	s.Set(codes.InvalidArgument, nil)
	many, numbers := amqp.Table{}, make([]any, 8000)
	for i := range 300 {
		many[fmt.Sprint("h", i)] = int32(i)
	}
	for i := range numbers {
		numbers[i] = int64(i)
	}
	gatewaytest.Start(t, failure(consumer(vhost, s), ""))
	for _, tt := range []struct {
		id      string
		headers amqp.Table
		cut     any
	}{
		{"many headers", many, nil},
		{"large header", amqp.Table{"large": strings.Repeat("v", 40<<10)}, nil},
		{"large array", amqp.Table{"numbers": numbers}, "numbers"},
		{"long name", amqp.Table{"x-death" + strings.Repeat("n", 240): "v", "other": "v"}, "x-death" + strings.Repeat("n", 240) + ",other"},
	} {
		p.put("IN", amqp.Publishing{MessageId: tt.id, Headers: tt.headers, Body: []byte("<Orders/>")})
		letter := p.take("IN.DLQ")
		if letter.MessageId != tt.id || letter.Headers["x-gateway-cut"] != tt.cut {
			t.Errorf("dead letter = %q without %v, want %q without %v", letter.MessageId, letter.Headers["x-gateway-cut"], tt.id, tt.cut)
		}
		for name := range tt.headers {
			if _, ok := letter.Headers[name]; !ok && tt.cut == nil {
				t.Errorf("dead letter of %q is without header %q", tt.id, name)
			}
		}
	}
}
