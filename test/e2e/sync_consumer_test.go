package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	amqp "github.com/rabbitmq/amqp091-go"
	"google.golang.org/grpc/codes"

	pb "mqgateway/api/proto/gateway"
	"mqgateway/test/gatewaytest"
	"mqgateway/test/rabbittest"
)

// syncConsumer is a consumer gateway that answers the requests of queue IN by a
// service.
func syncConsumer(vhost *rabbittest.VHost, s *gatewaytest.Service) string {
	return strings.NewReplacer("workMode: async", "workMode: sync", "    sendQueue: OUT\n", "").Replace(consumer(vhost, s))
}

func TestReplyCarriesTheIDsThatTheSenderLooksFor(t *testing.T) {
	t.Parallel()
	both := amqp.Publishing{MessageId: "m-1", CorrelationId: "c-1"}
	for _, tt := range []struct {
		name, byCorrelID string // mq.replyByCorrelId
		request          amqp.Publishing
		answer           string // the service's own correlationId
		want             string
	}{
		{"both ids", "false", both, "", "m-1"},
		{"message id alone", "false", amqp.Publishing{MessageId: "m-1"}, "", "m-1"},
		{"correlation id alone", "false", amqp.Publishing{CorrelationId: "c-1"}, "", "c-1"},
		{"service's own", "false", both, "own", "own"},
		{"service echoes the correlation id", "false", both, "c-1", "m-1"},
		{"both ids by the correlation id", "true", both, "", "c-1"},
		{"message id alone by the correlation id", "true", amqp.Publishing{MessageId: "m-1"}, "", "m-1"},
		{"service's own by the correlation id", "true", both, "own", "own"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			vhost := rabbittest.Shared(t).VHost(t)
			s, p := gatewaytest.Serve(t, ""), newPartner(t, vhost, "IN", "REPLIES")
			s.Answer(func(*pb.ProtoMessage) *pb.ProtoMessage {
				return &pb.ProtoMessage{CorrelationId: tt.answer, Body: "<Answer/>", UserHeaders: map[string]string{"k": "v"}}
			})
			config := strings.Replace(syncConsumer(vhost, s), "workMode: sync", "workMode: sync\n  replyByCorrelId: "+tt.byCorrelID, 1)
			gatewaytest.Start(t, config)
			tt.request.ReplyTo, tt.request.Body = "REPLIES", []byte("<Orders/>")
			p.put("IN", tt.request)
			got := p.take("REPLIES")
			if got.CorrelationId != tt.want || string(got.Body) != "<Answer/>" || got.Headers["k"] != "v" || got.DeliveryMode != amqp.Persistent {
				t.Errorf("reply = %+v, want CorrelId %q, and body and headers of the service", got, tt.want)
			}
			if got.MessageId == "" || got.MessageId == tt.request.MessageId || got.ReplyTo != "" {
				t.Errorf("reply has id %q and ReplyTo %q, want an id of its own and no address", got.MessageId, got.ReplyTo)
			}
			if call := s.Calls()[0]; call.Authority != "orders" || !call.Sync || call.Message.GetBody() != "<Orders/>" {
				t.Errorf("call = %+v, want the request under the authority of its route", call)
			}
			p.waitEmpty("IN")
		})
	}
}

func TestRequestIsAcknowledgedOnceItsReplyIsConfirmed(t *testing.T) {
	t.Parallel()
	vhost := rabbittest.Shared(t).VHost(t)
	s, p := gatewaytest.Serve(t, ""), newPartner(t, vhost, "IN")
	full := amqp.Table{"x-max-length": int32(1), "x-overflow": "reject-publish"}
	if _, err := p.channel.QueueDeclare("FULL", true, false, false, false, full); err != nil {
		t.Fatal(err)
	}
	p.put("FULL", amqp.Publishing{Body: []byte("in the way")})
	g := gatewaytest.Start(t, syncConsumer(vhost, s))
	p.put("IN", amqp.Publishing{MessageId: "m-1", ReplyTo: "FULL", Body: []byte("<Orders/>")})
	g.WaitForLog(t, "reply can't be published; trying again")
	if got := vhost.Messages(t, "IN"); got != 1 {
		t.Errorf("requests in the queue = %d, want it unacknowledged while its reply is refused", got)
	}
	p.take("FULL")
	if got := p.take("FULL"); got.CorrelationId != "m-1" {
		t.Errorf("reply = %+v, want that to m-1", got)
	}
	p.waitEmpty("IN")
	if got := len(s.Calls()); got != 1 {
		t.Errorf("calls = %d, want 1: only the publishing is tried again", got)
	}
}

func TestRequestsAreAnsweredAtOnce(t *testing.T) {
	t.Parallel()
	const n = 50
	vhost := rabbittest.Shared(t).VHost(t)
	s, p := gatewaytest.Serve(t, ""), newPartner(t, vhost, "IN", "REPLIES")
	hold := make(chan struct{})
	s.Set(codes.OK, hold)
	gatewaytest.Start(t, syncConsumer(vhost, s))
	want := map[string]string{}
	for i := range n {
		id, body := fmt.Sprintf("m-%d", i), fmt.Sprintf("<Orders>%d</Orders>", i)
		want[id] = body
		p.put("IN", amqp.Publishing{MessageId: id, ReplyTo: "REPLIES", Body: []byte(body)})
	}
	s.WaitCalls(t, n) // all at the same time: none is answered yet
	close(hold)
	got := map[string]string{}
	for range n {
		reply := p.take("REPLIES")
		got[reply.CorrelationId] = string(reply.Body)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("replies (-want +got):\n%s", diff)
	}
	p.waitEmpty("IN")
}

func TestRequestWithoutAReplyAddressIsNotHandled(t *testing.T) {
	t.Parallel()
	vhost := rabbittest.Shared(t).VHost(t)
	s, p := gatewaytest.Serve(t, ""), newPartner(t, vhost, "IN")
	gatewaytest.Start(t, syncConsumer(vhost, s))
	p.put("IN", amqp.Publishing{MessageId: "m-1", Body: []byte("<Orders/>")})
	letter := p.take("IN.DLQ")
	reason, _ := letter.Headers["x-gateway-error"].(string)
	if letter.Headers["x-gateway-error-code"] != "606" || !strings.Contains(reason, "ReplyToQ") || !strings.Contains(reason, "mq.connection.sendQueue") {
		t.Errorf("headers = %v, want 606 that names ReplyToQ and mq.connection.sendQueue", letter.Headers)
	}
	if got := s.Calls(); len(got) != 0 {
		t.Errorf("calls = %v, want none", got)
	}
}

func TestReplyThatNoQueueTakesIsDeadLettered(t *testing.T) {
	t.Parallel()
	vhost := rabbittest.Shared(t).VHost(t)
	s, p := gatewaytest.Serve(t, ""), newPartner(t, vhost, "IN")
	s.Answer(func(*pb.ProtoMessage) *pb.ProtoMessage { return &pb.ProtoMessage{Body: "<Answer/>"} })
	gatewaytest.Start(t, syncConsumer(vhost, s))
	p.put("IN", amqp.Publishing{MessageId: "m-1", ReplyTo: "MISSING", Body: []byte("<Orders/>")})
	letter := p.take("IN.DLQ")
	reason, _ := letter.Headers["x-gateway-error"].(string)
	if letter.Headers["x-gateway-error-code"] != "603" || !strings.Contains(reason, `"MISSING"`) {
		t.Errorf("headers = %v, want 603 that names the queue", letter.Headers)
	}
	if string(letter.Body) != "<Answer/>" || letter.CorrelationId != "m-1" {
		t.Errorf("dead letter = %+v, want the reply", letter)
	}
	p.waitEmpty("IN")
	if got := len(s.Calls()); got != 1 {
		t.Errorf("calls = %d, want 1", got)
	}
}

func TestServiceThatIsDownAnswersLater(t *testing.T) {
	t.Parallel()
	vhost := rabbittest.Shared(t).VHost(t)
	down := gatewaytest.Serve(t, "")
	down.Stop()
	p := newPartner(t, vhost, "IN", "REPLIES")
	g := gatewaytest.Start(t, syncConsumer(vhost, down))
	p.put("IN", amqp.Publishing{MessageId: "m-1", ReplyTo: "REPLIES", Body: []byte("<Orders/>")})
	g.WaitForLog(t, "message failed; trying again in place")
	up := gatewaytest.Serve(t, down.Address)
	if got := p.take("REPLIES"); got.CorrelationId != "m-1" {
		t.Errorf("reply = %+v, want that to m-1", got)
	}
	p.waitEmpty("IN")
	if calls, more := len(up.Calls()), vhost.Messages(t, "REPLIES"); calls != 1 || more != 0 {
		t.Errorf("calls = %d, more replies = %d, want one of each", calls, more)
	}
}

func TestModeAllReadsMessagesAndRequests(t *testing.T) {
	t.Parallel()
	vhost := rabbittest.Shared(t).VHost(t)
	s, p := gatewaytest.Serve(t, ""), newPartner(t, vhost, "IN", "REQUESTS", "REPLIES")
	config := strings.NewReplacer("workMode: async", "workMode: all", "receiveQueue: IN", "receiveQueue: IN\n    receiveQueueSync: REQUESTS").Replace(consumer(vhost, s))
	gatewaytest.Start(t, strings.Replace(config, "    sendQueue: OUT\n", "", 1))
	p.put("IN", amqp.Publishing{MessageId: "message", ReplyTo: "REPLIES", Body: []byte("<Orders/>")})
	p.put("REQUESTS", amqp.Publishing{MessageId: "request", ReplyTo: "REPLIES", Body: []byte("<Orders/>")})
	if got := p.take("REPLIES"); got.CorrelationId != "request" {
		t.Errorf("reply = %+v, want that to the request", got)
	}
	p.waitEmpty("IN")
	p.waitEmpty("REQUESTS")
	got := map[string]bool{}
	for _, c := range s.Calls() {
		got[c.Message.GetMessageId()] = c.Sync
	}
	if diff := cmp.Diff(map[string]bool{"message": false, "request": true}, got); diff != "" {
		t.Errorf("calls that are synchronous (-want +got):\n%s", diff)
	}
	if more := vhost.Messages(t, "REPLIES"); more != 0 {
		t.Errorf("more replies = %d, want none to the message", more)
	}
}

// brokerIsKilled with replies in hand: they are published once it is back.
func brokerIsKilled(t *testing.T, node *rabbittest.Node) {
	t.Helper()
	const n = 30
	vhost := node.VHost(t)
	s := gatewaytest.Serve(t, "")
	newPartner(t, vhost, "IN", "REPLIES")
	g := gatewaytest.Start(t, strings.Replace(syncConsumer(vhost, s), "connection:\n", "connection:\n    confirmTimeout: 2s\n", 1))
	hold := make(chan struct{})
	s.Set(codes.OK, hold)
	ctx, cancel := context.WithTimeout(t.Context(), gatewaytest.Patience)
	defer cancel()
	if err := putEach(ctx, vhost, n, amqp.Publishing{CorrelationId: "c-1", ReplyTo: "REPLIES", Body: []byte("<Orders/>")}); err != nil {
		t.Fatal(err)
	}
	s.WaitCalls(t, n)
	node.SaveQueues(t)
	node.Kill(t)
	g.WaitReady(t, 503)
	close(hold)
	g.WaitForLog(t, "reply can't be published; trying again")
	node.Start(t)
	p := newPartner(t, vhost)
	answered := map[string]int{}
	for len(answered) < n {
		answered[p.take("REPLIES").CorrelationId]++
	}
	p.waitEmpty("IN")
	calls := map[string]int{}
	for _, c := range s.Calls() {
		calls[c.Message.GetMessageId()]++
	}
	for i := range n {
		if id := fmt.Sprint(i); answered[id] == 0 || calls[id] != 1 {
			t.Errorf("request %s has %d calls and %d replies, want one call, and a reply", id, calls[id], answered[id])
		}
	}
}
