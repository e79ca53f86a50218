package e2e

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	amqp "github.com/rabbitmq/amqp091-go"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/anypb"

	pb "mqgateway/api/proto/gateway"
	mqpb "mqgateway/api/proto/gateway/mq"
	"mqgateway/test/gatewaytest"
	"mqgateway/test/rabbittest"
)

// consumer is a consumer gateway between queue IN of a virtual host and a
// service, which it calls by the root element of the body.
func consumer(vhost *rabbittest.VHost, s *gatewaytest.Service) string {
	return fmt.Sprintf(`
mq:
  systemType: sc
  workMode: async
  connection:
    connections: [{uri: %q, queueManager: QM1}]
    receiveQueue: IN
    sendQueue: OUT
grpc: {client: {settings: {default: {hostname: 127.0.0.1, port: %s}}}}
routing:
  routeList:
    - destinationExpression: toLower(Root)
      variables: [{name: Root, valueFrom: [{type: fromBody, value: local-name(/*), valueJson: $.operation}]}]
`, vhost.URI(), s.Port())
}

// provider is a provider gateway that sends to queue OUT of a virtual host and
// reads replies from IN.
func provider(vhost *rabbittest.VHost, s *gatewaytest.Service) string {
	return strings.Replace(consumer(vhost, s), "systemType: sc", "systemType: sp", 1)
}

func TestConsumerGatewayCallsTheServiceThatTheRulesName(t *testing.T) {
	t.Parallel()
	vhost := rabbittest.Shared(t).VHost(t)
	s, p := gatewaytest.Serve(t, ""), newPartner(t, vhost, "IN")
	gatewaytest.Start(t, consumer(vhost, s))
	p.put("IN", amqp.Publishing{
		MessageId: "m-1", CorrelationId: "c-1", ReplyTo: "OUT", Priority: 3, Expiration: "60000", Type: "order", AppId: "partner",
		Headers: amqp.Table{"n": int32(7), "text": "да", "x-gateway-error": "not a user header"},
		Body:    []byte(`<Orders><id>5</id></Orders>`),
	})
	got := s.WaitCalls(t, 1)[0]
	if got.Authority != "orders" {
		t.Errorf(":authority = %q, want the root element's name", got.Authority)
	}
	m := got.Message
	if m.GetMessageId() != "m-1" || m.GetCorrelationId() != "c-1" || m.GetBody() != `<Orders><id>5</id></Orders>` {
		t.Errorf("message = %v, want ids and body as sent", m)
	}
	if diff := cmp.Diff(map[string]string{"n": "7", "text": "да"}, m.GetUserHeaders()); diff != "" {
		t.Errorf("user headers (-want +got):\n%s", diff)
	}
	want := map[string]string{
		"MsgId": "m-1", "CorrelId": "c-1", "ReplyToQ": "OUT", "ReplyToQMgr": "QM1", "Priority": "3", "Persistence": "2", "Expiry": "60000",
		"MsgType": "1", "Type": "order", "PutApplName": "partner", "SourceQueue": "IN", "SourceManager": "QM1",
		"RoutingKey": "IN", "BackoutCount": "0", "Redelivered": "false",
	}
	if diff := cmp.Diff(want, m.GetSystemHeaders()); diff != "" {
		t.Errorf("system headers (-want +got):\n%s", diff)
	}
	p.waitEmpty("IN")
}

func TestProviderGatewayPutsMessagesOnAQueue(t *testing.T) {
	t.Parallel()
	vhost := rabbittest.Shared(t).VHost(t)
	s, p := gatewaytest.Serve(t, ""), newPartner(t, vhost, "IN", "OUT")
	g := gatewaytest.Start(t, provider(vhost, s))
	extension, err := anypb.New(&mqpb.MqMessageInformation{Priority: 5, Expiry: 60000})
	if err != nil {
		t.Fatal(err)
	}
	heartbeat, err := client(t, g).ProcessMessage(t.Context(), &pb.ProtoMessage{
		MessageId: "m-1", CorrelationId: "c-1", Body: `{"operation":"order"}`, Extension: extension,
		SystemHeaders: map[string]string{"ReplyToQ": "IN", "Priority": "1"}, UserHeaders: map[string]string{"k": "v"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if age := time.Since(time.UnixMilli(heartbeat.GetTimestamp())); heartbeat.GetMessageId() != "m-1" || age < 0 || age > gatewaytest.Patience {
		t.Errorf("heartbeat = %v, want the message's id and a time of now", heartbeat)
	}
	got := p.take("OUT")
	type seen struct {
		ID, Correl, ReplyTo, Expiration, ContentType, Body, Header string
		Priority, Mode                                             uint8
	}
	want := seen{"m-1", "c-1", "IN", "60000", "application/json; charset=utf-8", `{"operation":"order"}`, "v", 5, amqp.Persistent}
	header, _ := got.Headers["k"].(string)
	if diff := cmp.Diff(want, seen{
		got.MessageId, got.CorrelationId, got.ReplyTo, got.Expiration, got.ContentType, string(got.Body), header, got.Priority, got.DeliveryMode,
	}); diff != "" {
		t.Errorf("message on the queue (-want +got):\n%s", diff)
	}
}

func TestUserIdentifierOfTheGatewayItselfIsSent(t *testing.T) {
	t.Parallel()
	vhost := rabbittest.Shared(t).VHost(t)
	s, p := gatewaytest.Serve(t, ""), newPartner(t, vhost, "IN", "OUT")
	uri, err := url.Parse(vhost.URI())
	if err != nil {
		t.Fatal(err)
	}
	c := client(t, gatewaytest.Start(t, provider(vhost, s)))
	for user, want := range map[string]string{uri.User.Username(): uri.User.Username(), "somebody": ""} {
		if _, err := c.ProcessMessage(t.Context(), &pb.ProtoMessage{SystemHeaders: map[string]string{"UserIdentifier": user}}); err != nil {
			t.Fatal(err)
		}
		if got := p.take("OUT").UserId; got != want {
			t.Errorf("user-id of a message from %q = %q, want %q", user, got, want)
		}
	}
}

func TestRepliesOfAProviderGatewayAreRouted(t *testing.T) {
	t.Parallel()
	vhost := rabbittest.Shared(t).VHost(t)
	s, p := gatewaytest.Serve(t, ""), newPartner(t, vhost, "IN", "OUT")
	gatewaytest.Start(t, provider(vhost, s))
	p.put("IN", amqp.Publishing{CorrelationId: "c-1", Body: []byte(`{"operation":"Reply"}`)})
	got := s.WaitCalls(t, 1)[0]
	if got.Authority != "reply" || got.Message.GetCorrelationId() != "c-1" || got.Message.GetMessageId() == "" {
		t.Errorf("call = %+v, want it routed, with an id made for it", got)
	}
}

func TestMessagesThatFailForGoodAreDeadLetteredWithTheReason(t *testing.T) {
	t.Parallel()
	vhost := rabbittest.Shared(t).VHost(t)
	s, p := gatewaytest.Serve(t, ""), newPartner(t, vhost, "IN")
	g := gatewaytest.Start(t, consumer(vhost, s))
	for _, tt := range []struct {
		name    string
		message amqp.Publishing
		code    string
		text    string
	}{
		{"not text", amqp.Publishing{Body: []byte("<a>\xc3\x28</a>")}, "606", "UTF"},
		{"unknown charset", amqp.Publishing{ContentType: "text/xml; charset=x-klingon", Body: []byte("<a/>")}, "606", "x-klingon"},
		{"over the limit", amqp.Publishing{Body: []byte("<a>" + strings.Repeat("x", 100<<10) + "</a>")}, "606", "mq.maxMsgLength"},
		{"broken XML", amqp.Publishing{Body: []byte("<a b></a>")}, "606", "XML"},
		{"broken JSON", amqp.Publishing{Body: []byte(`{"operation":`)}, "606", "JSON"},
		{"no value for the route", amqp.Publishing{Body: []byte(`{"other":1}`)}, "601", "Root"},
		{"neither XML nor JSON", amqp.Publishing{Body: []byte(`plain`)}, "601", "Root"},
		{"no valid authority", amqp.Publishing{Body: []byte(`{"operation":"two words"}`)}, "601", "host[:port]"},
	} {
		tt.message.MessageId = tt.name
		tt.message.Headers = amqp.Table{"n": int64(1) << 40}
		p.put("IN", tt.message)
		p.put("IN", amqp.Publishing{Body: []byte("<Good/>")})
		letter := p.take("IN.DLQ")
		if letter.MessageId != tt.name || string(letter.Body) != string(tt.message.Body) || letter.Headers["n"] != int64(1)<<40 {
			t.Errorf("%s: dead letter is not the message that was sent", tt.name)
		}
		if got := letter.Headers["x-gateway-error-code"]; got != tt.code {
			t.Errorf("%s: code = %v, want %s", tt.name, got, tt.code)
		}
		if got, _ := letter.Headers["x-gateway-error"].(string); !strings.Contains(got, tt.text) {
			t.Errorf("%s: reason = %q, want %q in it", tt.name, got, tt.text)
		}
	}
	s.WaitCalls(t, 8)
	p.waitEmpty("IN")
	gatewaytest.Eventually(t, func() error {
		if got := len(g.Logged("message is moved to the dead letter queue")); got != 8 {
			return fmt.Errorf("log lines of dead letters = %d, want 8", got)
		}
		return nil
	})
}

func TestServiceThatRefusesForGood(t *testing.T) {
	t.Parallel()
	vhost := rabbittest.Shared(t).VHost(t)
	s, p := gatewaytest.Serve(t, ""), newPartner(t, vhost, "IN")
	s.Set(codes.Unimplemented, nil)
	gatewaytest.Start(t, consumer(vhost, s))
	p.put("IN", amqp.Publishing{MessageId: "m-1", Body: []byte("<Orders/>")})
	letter := p.take("IN.DLQ")
	if reason, _ := letter.Headers["x-gateway-error"].(string); letter.Headers["x-gateway-error-code"] != "602" || !strings.Contains(reason, `"orders"`) {
		t.Errorf("headers = %v, want 602 and the authority", letter.Headers)
	}
	if got := len(s.Calls()); got != 1 {
		t.Errorf("calls = %d, want 1: a permanent failure is not retried", got)
	}
}

func TestServiceThatIsDownGetsItsMessagesLater(t *testing.T) {
	t.Parallel()
	vhost := rabbittest.Shared(t).VHost(t)
	down := gatewaytest.Serve(t, "")
	down.Stop()
	p := newPartner(t, vhost, "IN")
	g := gatewaytest.Start(t, failure(consumer(vhost, down), "declare: false"))
	for i := range 5 {
		p.put("IN", amqp.Publishing{MessageId: fmt.Sprint(i), Body: []byte("<Orders/>")})
	}
	g.WaitForLog(t, "message failed; trying again in place")
	gatewaytest.Eventually(t, func() error {
		if got := vhost.Messages(t, "IN"); got != 5 {
			return fmt.Errorf("messages in the queue = %d, want all 5 unacknowledged", got)
		}
		return nil
	})
	up := gatewaytest.Serve(t, down.Address)
	up.WaitCalls(t, 5)
	p.waitEmpty("IN")
	if got := len(up.Calls()); got != 5 {
		t.Errorf("calls = %d, want each message once", got)
	}
}

func TestCallersAreToldWhatFailed(t *testing.T) {
	t.Parallel()
	vhost := rabbittest.Shared(t).VHost(t)
	s := gatewaytest.Serve(t, "")
	newPartner(t, vhost, "IN", "OUT", "OTHER")
	config := strings.Replace(provider(vhost, s), "sendQueue: OUT", "sendQueue: OUT\n    sendToCustomDestination: true", 1)
	c := client(t, gatewaytest.Start(t, config))
	for _, tt := range []struct {
		name, queue, manager string
		message              *pb.ProtoMessage
		code                 codes.Code
		number, text         string
	}{
		{name: "another queue", queue: "OTHER", message: &pb.ProtoMessage{}},
		{name: "missing queue", queue: "MISSING", message: &pb.ProtoMessage{}, code: codes.Unavailable, number: "603", text: `"MISSING"`},
		{name: "missing exchange", queue: "exchange:none/key", message: &pb.ProtoMessage{}, code: codes.Unavailable, number: "603", text: "none"},
		{name: "unknown manager", queue: "OTHER", manager: "QM7", message: &pb.ProtoMessage{}, code: codes.Unavailable, number: "603", text: "QM1"},
		{
			name: "bad priority", message: &pb.ProtoMessage{SystemHeaders: map[string]string{"Priority": "high"}},
			code: codes.InvalidArgument, number: "606", text: "Priority",
		},
		{
			name: "long correlation id", message: &pb.ProtoMessage{CorrelationId: strings.Repeat("c", 256)},
			code: codes.InvalidArgument, number: "606", text: "255",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ctx := t.Context()
			for key, value := range map[string]string{"queue": tt.queue, "manager": tt.manager} {
				if value != "" {
					ctx = metadata.AppendToOutgoingContext(ctx, "x-synapse-override-destination-"+key, value)
				}
			}
			_, err := c.ProcessMessage(ctx, tt.message)
			if status.Code(err) != tt.code {
				t.Fatalf("err = %v, want %v", err, tt.code)
			}
			if err == nil {
				return
			}
			if !strings.Contains(err.Error(), tt.text) {
				t.Errorf("err = %v, want %q in it", err, tt.text)
			}
			if got := codeOf(err); got != tt.number {
				t.Errorf("code = %q, want %s", got, tt.number)
			}
		})
	}
}

func TestUnservedChannelNamesItsKey(t *testing.T) {
	t.Parallel()
	vhost := rabbittest.Shared(t).VHost(t)
	g := gatewaytest.Start(t, provider(vhost, gatewaytest.Serve(t, "")))
	_, err := pb.NewMessageSyncChannelClient(dial(t, g)).ProcessMessage(t.Context(), &pb.ProtoMessage{})
	if status.Code(err) != codes.Unimplemented || !strings.Contains(err.Error(), "mq.workMode") {
		t.Errorf("err = %v, want UNIMPLEMENTED that names mq.workMode", err)
	}
}

func TestStopFinishesWhatIsInWorkAndLeavesTheRest(t *testing.T) {
	t.Parallel()
	vhost := rabbittest.Shared(t).VHost(t)
	s, p := gatewaytest.Serve(t, ""), newPartner(t, vhost, "IN")
	hold := make(chan struct{})
	s.Set(codes.OK, hold)
	g := gatewaytest.Start(t, consumer(vhost, s)+longGrace)
	for range 200 {
		p.put("IN", amqp.Publishing{Body: []byte("<Orders/>")})
	}
	inWork := len(s.WaitCalls(t, 64))
	stopped := make(chan struct{})
	go func() { defer close(stopped); g.Stop(t) }()
	g.WaitForLog(t, "gateway is stopping")
	gatewaytest.Eventually(t, func() error {
		q, err := p.channel.QueueDeclarePassive("IN", true, false, false, false, nil)
		if err != nil {
			t.Fatal(err)
		}
		if q.Messages != 200-inWork {
			return fmt.Errorf("%d messages are ready, want %d given back at once", q.Messages, 200-inWork)
		}
		return nil
	})
	close(hold)
	<-stopped
	if got := len(s.Calls()); got != inWork {
		t.Errorf("calls = %d, want the %d in work and no more", got, inWork)
	}
	if got := vhost.Messages(t, "IN"); got != 200-inWork {
		t.Errorf("messages in the queue = %d, want %d", got, 200-inWork)
	}
}

// TestBrokerGoesAndComesBack has a node of its own, since each boot takes seconds.
func TestBrokerGoesAndComesBack(t *testing.T) {
	t.Parallel()
	node := rabbittest.Start(t)
	t.Run("stopped while messages flow", func(t *testing.T) { brokerIsStopped(t, node) })
	t.Run("killed while replies are in hand", func(t *testing.T) { brokerIsKilled(t, node) })
}

// brokerIsStopped while messages flow both ways: each arrives.
func brokerIsStopped(t *testing.T, node *rabbittest.Node) {
	t.Helper()
	vhost := node.VHost(t)
	s := gatewaytest.Serve(t, "")
	newPartner(t, vhost, "IN", "OUT")
	in := gatewaytest.Start(t, consumer(vhost, s))
	out := gatewaytest.Start(t, strings.Replace(provider(vhost, s), "    receiveQueue: IN\n", "", 1))
	const n = 400
	ctx, cancel := context.WithTimeout(t.Context(), gatewaytest.Patience)
	defer cancel()
	sent := make(chan error, 2)
	go func() { sent <- putEach(ctx, vhost, n, amqp.Publishing{Body: []byte("<Orders/>")}) }()
	go func() { sent <- callEach(ctx, client(t, out), n) }()
	s.WaitCalls(t, 20)
	node.Stop(t)
	in.WaitReady(t, 503)
	out.WaitReady(t, 503)
	node.Start(t)
	for range cap(sent) {
		if err := <-sent; err != nil {
			t.Fatal(err)
		}
	}
	ids := map[string]bool{}
	gatewaytest.Eventually(t, func() error {
		for _, c := range s.Calls() {
			ids[c.Message.GetMessageId()] = true
		}
		if len(ids) < n {
			return fmt.Errorf("%d of %d messages reached the service", len(ids), n)
		}
		return nil
	})
	p := newPartner(t, vhost)
	p.waitEmpty("IN")
	arrived := map[string]bool{}
	gatewaytest.Eventually(t, func() error {
		for d, ok, err := p.channel.Get("OUT", true); ok || err != nil; d, ok, err = p.channel.Get("OUT", true) {
			if err != nil {
				t.Fatal(err)
			}
			arrived[d.MessageId] = true
		}
		if len(arrived) < n {
			return fmt.Errorf("%d of %d messages reached the queue", len(arrived), n)
		}
		return nil
	})
	in.WaitReady(t, 200)
	out.WaitReady(t, 200)
}

// putEach puts a message on IN n times, with ids from 0, each until the broker has
// confirmed it, and connects again when it has to.
func putEach(ctx context.Context, vhost *rabbittest.VHost, n int, m amqp.Publishing) error {
	var conn *amqp.Connection
	var ch *amqp.Channel
	for i := 0; i < n; {
		if ctx.Err() != nil {
			return fmt.Errorf("putting message %d: %w", i, ctx.Err())
		}
		if ch == nil || ch.IsClosed() {
			if conn != nil {
				_ = conn.Close()
			}
			var err error
			if conn, err = amqp.Dial(vhost.URI()); err != nil {
				time.Sleep(100 * time.Millisecond)
				continue
			}
			if ch, err = conn.Channel(); err != nil {
				continue
			}
			if err := ch.Confirm(false); err != nil {
				continue
			}
		}
		m.MessageId, m.DeliveryMode = fmt.Sprint(i), amqp.Persistent
		confirm, err := ch.PublishWithDeferredConfirmWithContext(ctx, "", "IN", true, false, m)
		if err != nil {
			continue
		}
		if ok, err := confirm.WaitContext(ctx); ok && err == nil {
			i++
		}
	}
	return conn.Close()
}

// callEach calls the gateway n times, each until it has taken the message.
func callEach(ctx context.Context, c pb.MessageAsyncChannelClient, n int) error {
	for i := range n {
		for {
			_, err := c.ProcessMessage(ctx, &pb.ProtoMessage{MessageId: fmt.Sprint(i), Body: "<Orders/>"})
			if err == nil {
				break
			}
			if status.Code(err) != codes.Unavailable {
				return fmt.Errorf("calling with message %d: %w", i, err)
			}
			time.Sleep(50 * time.Millisecond)
		}
	}
	return nil
}

func TestBrokerThatIsDownAtTheStart(t *testing.T) {
	t.Parallel()
	vhost := rabbittest.Shared(t).VHost(t)
	s := gatewaytest.Serve(t, "")
	p := newPartner(t, vhost, "IN", "OUT")
	config, network := through(t, vhost, consumer(vhost, s))
	network.Refuse()
	g := gatewaytest.Start(t, config)
	g.WaitForLog(t, "manager is down; trying until it answers")
	for path, want := range map[string]int{"ping": 200, "liveness": 200, "readiness": 503} {
		if got, body := g.Probe(t, "/actuator/health/"+path); got != want {
			t.Errorf("%s = %d %s, want %d", path, got, body, want)
		}
	}
	if _, body := g.Probe(t, "/actuator/health"); !strings.Contains(body, "manager QM1") || !strings.Contains(body, network.Address) {
		t.Errorf("health = %s, want the manager and the cause", body)
	}
	network.Heal()
	g.WaitReady(t, 200)
	p.put("IN", amqp.Publishing{Body: []byte("<Orders/>")})
	s.WaitCalls(t, 1)
	if got := len(g.Logged("manager is down")); got != 1 {
		t.Errorf("that the manager is down is logged %d times, want once", got)
	}
	if got := len(g.Logged("queue can't be read")); got > 1 {
		t.Errorf("that the queue can't be read is logged %d times, want once at most, before the manager is known to be down", got)
	}
}

func TestMissingQueueIsToldWithTheRemedyAndReadLater(t *testing.T) {
	t.Parallel()
	vhost := rabbittest.Shared(t).VHost(t)
	s := gatewaytest.Serve(t, "")
	g := gatewaytest.Start(t, consumer(vhost, s))
	line := g.WaitForLog(t, "queue is missing")
	if text := fmt.Sprint(line["err"]); !strings.Contains(text, "mq.connection.declareQueues") || line["queue"] != "IN" {
		t.Errorf("log line = %v, want the queue and the remedy", line)
	}
	newPartner(t, vhost, "IN").put("IN", amqp.Publishing{Body: []byte("<Orders/>")})
	s.WaitCalls(t, 1)
}

func TestQueuesAreDeclaredWhenAsked(t *testing.T) {
	t.Parallel()
	vhost := rabbittest.Shared(t).VHost(t)
	s := gatewaytest.Serve(t, "")
	config := strings.Replace(provider(vhost, s), "sendQueue: OUT", "sendQueue: OUT\n    declareQueues: quorum", 1)
	g := gatewaytest.Start(t, config)
	g.WaitReady(t, 200)
	if _, err := client(t, g).ProcessMessage(t.Context(), &pb.ProtoMessage{Body: "<Orders/>"}); err != nil {
		t.Fatal(err)
	}
	p := newPartner(t, vhost)
	p.take("OUT")
	gatewaytest.Eventually(t, func() error {
		if vhost.Messages(t, "IN") < 0 {
			return fmt.Errorf("queue IN is not declared")
		}
		return nil
	})
}
