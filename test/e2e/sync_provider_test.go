package e2e

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "mqgateway/api/proto/gateway"
	"mqgateway/test/gatewaytest"
	"mqgateway/test/rabbittest"
)

// replyQueue is where replies of mode UNIQUE come for [syncProvider], sharedQueue
// where those of the shared modes do.
const (
	replyQueue  = "REPLIES.DQ.gateway-1"
	sharedQueue = "REPLIES"
)

// queueOf is the reply queue of a mode; empty where there is none.
func queueOf(mode string) string {
	switch mode {
	case "UNIQUE":
		return replyQueue
	case "DIRECT":
		return ""
	default:
		return sharedQueue
	}
}

// syncProvider is a provider gateway that sends requests to queue OUT and waits
// for their replies.
func syncProvider(vhost *rabbittest.VHost, mode string, wait time.Duration) string {
	return fmt.Sprintf(`
mq:
  instance: gateway-1
  systemType: sp
  workMode: sync
  connection: {connections: [{uri: %q, queueManager: QM1}], sendQueue: OUT}
  syncReceiver: {replyToMode: %s, defaultReceiveQueue: REPLIES, maxProcessingTime: %s}
`, vhost.URI(), mode, wait)
}

// longWait is a maxProcessingTime that no test lives to see the end of.
const longWait = time.Hour

// exchange is a running provider gateway with its virtual host and a client.
type exchange struct {
	*gatewaytest.Gateway
	*partner
	client pb.MessageSyncChannelClient
}

func startExchange(t *testing.T, mode string, wait time.Duration, more ...string) *exchange {
	t.Helper()
	vhost := rabbittest.Shared(t).VHost(t)
	p := newPartner(t, vhost, "OUT", sharedQueue)
	g := gatewaytest.Start(t, syncProvider(vhost, mode, wait)+strings.Join(more, ""))
	g.WaitReady(t, 200)
	return &exchange{g, p, pb.NewMessageSyncChannelClient(dial(t, g))}
}

// result is how a call ended.
type result struct {
	reply *pb.ProtoMessage
	err   error
}

// call calls the gateway in the background.
func (e *exchange) call(ctx context.Context, m *pb.ProtoMessage) <-chan result {
	ended := make(chan result, 1) // The test may not want it any more.
	go func() {
		ctx, cancel := context.WithTimeout(ctx, gatewaytest.Patience)
		defer cancel()
		reply, err := e.client.ProcessMessage(ctx, m)
		ended <- result{reply, err}
	}()
	return ended
}

// wantReply waits for the end of a call, which has to be a reply with that body.
func wantReply(t *testing.T, ended <-chan result, body string) *pb.ProtoMessage {
	t.Helper()
	r := <-ended
	if r.err != nil || r.reply.GetBody() != body {
		t.Fatalf("call ended with %v, %v, want a reply with body %q", r.reply, r.err, body)
	}
	return r.reply
}

// wantFailure waits for the end of a call, which has to fail so.
func wantFailure(t *testing.T, ended <-chan result, code codes.Code, number string) {
	t.Helper()
	if r := <-ended; status.Code(r.err) != code || codeOf(r.err) != number {
		t.Fatalf("call ended with %v, %v (code %q), want %v and code %q", r.reply, r.err, codeOf(r.err), code, number)
	}
}

func send(t *testing.T, r request, m amqp.Publishing) {
	t.Helper()
	if err := r.reply(m); err != nil {
		t.Fatal(err)
	}
}

// inEachMode runs a test in each mode of getting replies.
func inEachMode(t *testing.T, test func(t *testing.T, mode string)) {
	t.Parallel()
	for _, mode := range []string{"UNIQUE", "DIRECT", "SHARED_SINGLE", "SHARED", "SHARED_SELECTOR"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			test(t, mode)
		})
	}
}

func TestCallersGetTheirOwnReplies(t *testing.T) {
	inEachMode(t, func(t *testing.T, mode string) {
		e := startExchange(t, mode, longWait)
		requests := takeRequests(t, e.vhost)
		for name, habit := range habits {
			named := e.call(t.Context(), &pb.ProtoMessage{MessageId: "m-" + name, CorrelationId: "c-" + name, Body: "named"})
			unnamed := e.call(t.Context(), &pb.ProtoMessage{Body: "unnamed"})
			first, second := <-requests, <-requests
			for _, r := range []request{second, first} {
				wantAddress(t, r, mode)
				reply := habit(r.Delivery)
				reply.Body, reply.Headers, reply.Type = append([]byte("reply to "), r.Body...), amqp.Table{"n": int32(7)}, "answer"
				send(t, r, reply)
			}
			got := wantReply(t, named, "reply to named")
			if id := got.GetCorrelationId(); id != "m-"+name && id != "c-"+name || got.GetUserHeaders()["n"] != "7" || got.GetSystemHeaders()["Type"] != "answer" {
				t.Errorf("%s: reply = %v, want the correlation id and the headers of the external system", name, got)
			}
			wantReply(t, unnamed, "reply to unnamed")
		}
		e.WaitMetric(t, `gateway_replies_total{result="matched"}`, float64(2*len(habits)))
		e.WaitMetric(t, "gateway_requests_waiting", 0)
	})
}

// wantAddress holds what a request tells the external system against the mode.
func wantAddress(t *testing.T, r request, mode string) {
	t.Helper()
	if r.MessageId == "" || r.CorrelationId == "" {
		t.Errorf("request has ids %q and %q, want both", r.MessageId, r.CorrelationId)
	}
	if mode == "DIRECT" && !strings.HasPrefix(r.ReplyTo, "amq.rabbitmq.reply-to.") || mode != "DIRECT" && r.ReplyTo != queueOf(mode) {
		t.Errorf("ReplyTo of the request = %q in mode %s", r.ReplyTo, mode)
	}
	if named := r.Headers["GWResponseSelector"] == "gateway-1"; named != (mode == "SHARED_SELECTOR") {
		t.Errorf("headers of the request = %v in mode %s", r.Headers, mode)
	}
}

func TestRequestsExpireWithTheirCallers(t *testing.T) {
	inEachMode(t, func(t *testing.T, mode string) {
		e := startExchange(t, mode, 10*time.Minute)
		requests := takeRequests(t, e.vhost)
		for asked, want := range map[string]string{"": "600000", "300000": "300000", "900000": "600000"} {
			m := &pb.ProtoMessage{Body: "<Order/>"}
			if asked != "" {
				m.SystemHeaders = map[string]string{"Expiry": asked}
			}
			ended := e.call(t.Context(), m)
			r := <-requests
			if r.Expiration != want {
				t.Errorf("Expiry %q: expiration of the request = %q, want %q", asked, r.Expiration, want)
			}
			send(t, r, amqp.Publishing{CorrelationId: r.MessageId, Body: []byte("reply")})
			wantReply(t, ended, "reply")
		}
	})
}

func TestCallsWithoutAReplyEnd(t *testing.T) {
	inEachMode(t, func(t *testing.T, mode string) {
		e := startExchange(t, mode, time.Second)
		requests := takeRequests(t, e.vhost)
		gatewaytest.Eventually(t, func() error {
			wantFailure(t, e.call(t.Context(), &pb.ProtoMessage{Body: "too slow"}), codes.DeadlineExceeded, "608")
			select {
			case <-requests:
				return nil
			default:
				return errors.New("the request has expired before somebody read it")
			}
		})

		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		if r := <-e.call(ctx, &pb.ProtoMessage{Body: "caller in a hurry"}); status.Code(r.err) != codes.DeadlineExceeded {
			t.Errorf("call ended with %v, %v, want DEADLINE_EXCEEDED", r.reply, r.err)
		}
		e.WaitMetric(t, "gateway_requests_waiting", 0)
	})
}

func TestCallerGivesUp(t *testing.T) {
	inEachMode(t, func(t *testing.T, mode string) {
		e := startExchange(t, mode, longWait)
		requests := takeRequests(t, e.vhost)
		ctx, cancel := context.WithCancel(t.Context())
		ended := e.call(ctx, &pb.ProtoMessage{Body: "<Order/>"})
		r := <-requests
		cancel()
		wantFailure(t, ended, codes.Canceled, "")
		e.WaitMetric(t, "gateway_requests_waiting", 0)
		send(t, r, amqp.Publishing{CorrelationId: r.MessageId, Body: []byte("late")})
		e.WaitMetric(t, `gateway_replies_total{result="late"}`, 1)
	})
}

func TestUnusualReplies(t *testing.T) {
	inEachMode(t, func(t *testing.T, mode string) {
		e := startExchange(t, mode, longWait, "grpc: {server: {maxMessageSizeInMb: 64KB}}\n")
		requests := takeRequests(t, e.vhost)
		ended := e.call(t.Context(), &pb.ProtoMessage{MessageId: "m-1", Body: "<Order/>"})
		r := <-requests

		send(t, r, amqp.Publishing{CorrelationId: "of somebody else", Body: []byte("foreign"), Headers: amqp.Table{"n": int64(1) << 40}})
		e.WaitMetric(t, `gateway_replies_total{result="unclaimed"}`, 1)
		if mode != "DIRECT" {
			got := e.take(queueOf(mode) + ".UNCLAIMED")
			if got.CorrelationId != "of somebody else" || string(got.Body) != "foreign" || got.Headers["n"] != int64(1)<<40 {
				t.Errorf("unclaimed reply = %+v, want it as it was sent", got)
			}
		}

		send(t, r, amqp.Publishing{CorrelationId: "m-1"})
		wantReply(t, ended, "")
		if line := e.WaitForLog(t, "reply has no body"); line["message"] != "m-1" {
			t.Errorf("log line = %v, want the id of the request", line)
		}

		send(t, r, amqp.Publishing{CorrelationId: "m-1", Body: []byte("duplicate")})
		e.WaitMetric(t, `gateway_replies_total{result="late"}`, 1)
		e.WaitMetric(t, `gateway_replies_total{result="matched"}`, 1)

		for id, unreadable := range map[string]amqp.Publishing{
			"not text":   {Body: []byte("<a>\xc3\x28</a>")},
			"bad header": {Body: []byte("<a/>"), Headers: amqp.Table{"name": "\xff"}},
			"too large":  {Body: make([]byte, 80<<10)}, // for the caller, not for mq.maxMsgLength
		} {
			ended = e.call(t.Context(), &pb.ProtoMessage{MessageId: id, Body: "<Order/>"})
			unreadable.CorrelationId = id
			send(t, <-requests, unreadable)
			wantFailure(t, ended, codes.InvalidArgument, "606")
			if mode == "DIRECT" {
				continue
			}
			if got := e.take(queueOf(mode) + ".DLQ"); got.CorrelationId != id || got.Headers["x-gateway-error-code"] != "606" {
				t.Errorf("dead letter = %+v, want the reply that is %s", got, id)
			}
		}
	})
}

func TestRequestThatNoQueueTakesFailsAtOnce(t *testing.T) {
	inEachMode(t, func(t *testing.T, mode string) {
		e := startExchange(t, mode, longWait)
		if _, err := e.channel.QueueDelete("OUT", false, false, false); err != nil {
			t.Fatal(err)
		}
		wantFailure(t, e.call(t.Context(), &pb.ProtoMessage{Body: "<Order/>"}), codes.Unavailable, "603")
		newPartner(t, e.vhost, "OUT")
		requests := takeRequests(t, e.vhost)
		ended := e.call(t.Context(), &pb.ProtoMessage{MessageId: "m-1", Body: "<Order/>"})
		send(t, <-requests, amqp.Publishing{CorrelationId: "m-1", Body: []byte("reply")})
		wantReply(t, ended, "reply")
	})
}

func TestIDOfACallThatWaitsIsTaken(t *testing.T) {
	inEachMode(t, func(t *testing.T, mode string) {
		e := startExchange(t, mode, longWait)
		requests := takeRequests(t, e.vhost)
		for range 2 { // Once a call has ended, its id can be used again.
			ended := e.call(t.Context(), &pb.ProtoMessage{MessageId: "m-1", Body: "<Order/>"})
			r := <-requests
			wantFailure(t, e.call(t.Context(), &pb.ProtoMessage{MessageId: "m-1", Body: "<Order/>"}), codes.InvalidArgument, "606")
			send(t, r, amqp.Publishing{CorrelationId: "m-1", Body: []byte("reply")})
			wantReply(t, ended, "reply")
		}
		if got := len(requests); got != 0 {
			t.Errorf("requests sent for refused calls = %d, want 0", got)
		}
	})
}

func TestGatewayThatCannotReadRepliesIsNotReady(t *testing.T) {
	t.Parallel()
	vhost := rabbittest.Shared(t).VHost(t)
	newPartner(t, vhost, "OUT")
	thief, err := amqp.Dial(vhost.URI())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = thief.Close() })
	channel, err := thief.Channel()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := channel.QueueDeclare(replyQueue, false, false, true, false, nil); err != nil {
		t.Fatal(err)
	}
	config := strings.Replace(syncProvider(vhost, "UNIQUE", longWait), "sendQueue: OUT", "sendQueue: OUT, confirmTimeout: 10s", 1)
	g := gatewaytest.Start(t, config)
	e := &exchange{g, newPartner(t, vhost), pb.NewMessageSyncChannelClient(dial(t, g))}
	g.WaitForLog(t, "queue can't be read")
	g.WaitForLog(t, "manager is up")
	g.WaitReady(t, 503)
	wantFailure(t, e.call(t.Context(), &pb.ProtoMessage{Body: "<Order/>"}), codes.Unavailable, "603")
	if got := vhost.Messages(t, "OUT"); got != 0 {
		t.Errorf("requests sent = %d, want none whose reply can't be read", got)
	}
	if err := thief.Close(); err != nil { // Its exclusive queue goes with it.
		t.Fatal(err)
	}
	g.WaitReady(t, 200)
	requests := takeRequests(t, vhost)
	ended := e.call(t.Context(), &pb.ProtoMessage{MessageId: "m-1", Body: "<Order/>"})
	send(t, <-requests, amqp.Publishing{CorrelationId: "m-1", Body: []byte("reply")})
	wantReply(t, ended, "reply")
}

func TestReplyQueueIsMadeAgainWhileCallsWait(t *testing.T) {
	t.Parallel()
	e := startExchange(t, "UNIQUE", longWait)
	requests := takeRequests(t, e.vhost)
	ended := e.call(t.Context(), &pb.ProtoMessage{MessageId: "m-1", Body: "<Order/>"})
	r := <-requests
	if _, err := e.channel.QueueDelete(replyQueue, false, false, false); err != nil {
		t.Fatal(err)
	}
	gatewaytest.Eventually(t, func() error {
		if e.vhost.Messages(t, replyQueue) < 0 {
			return fmt.Errorf("no queue %q", replyQueue)
		}
		return nil
	})
	send(t, r, amqp.Publishing{CorrelationId: "m-1", Body: []byte("reply")})
	wantReply(t, ended, "reply")
	e.WaitReady(t, 200)
}

func TestCallsWaitOnWhenConnectionsAreClosed(t *testing.T) {
	t.Parallel()
	e := startExchange(t, "UNIQUE", longWait)
	requests := takeRequests(t, e.vhost)
	ended := e.call(t.Context(), &pb.ProtoMessage{MessageId: "m-1", Body: "<Order/>"})
	<-requests
	// Before its confirm, a request on a lost connection has an unknown outcome, and fails.
	e.WaitMetric(t, `gateway_publishes_total{manager="QM1",result="confirmed"}`, 1)
	e.vhost.CloseConnections(t)
	newPartner(t, e.vhost).put(replyQueue, amqp.Publishing{CorrelationId: "m-1", Body: []byte("reply")})
	wantReply(t, ended, "reply")
}

func TestCallsFailAtOnceWhenTheirDirectReplyAddressIsLost(t *testing.T) {
	t.Parallel()
	const n = 10
	e := startExchange(t, "DIRECT", longWait)
	requests := takeRequests(t, e.vhost)
	var calls []<-chan result
	for range n {
		calls = append(calls, e.call(t.Context(), &pb.ProtoMessage{Body: "<Order/>"}))
	}
	for range n {
		<-requests
	}
	e.vhost.CloseConnections(t)
	for _, ended := range calls {
		wantFailure(t, ended, codes.Unavailable, "603")
	}
	e.WaitReady(t, 200)
	ended := e.call(t.Context(), &pb.ProtoMessage{MessageId: "m-1", Body: "<Order/>"})
	send(t, <-requests, amqp.Publishing{CorrelationId: "m-1", Body: []byte("reply")})
	wantReply(t, ended, "reply")
}

func TestStopAnswersTheCallsThatWaitAndRefusesMore(t *testing.T) {
	inEachMode(t, func(t *testing.T, mode string) {
		e := startExchange(t, mode, longWait)
		requests := takeRequests(t, e.vhost)
		waiting := e.call(t.Context(), &pb.ProtoMessage{MessageId: "m-1", Body: "<Order/>"})
		r := <-requests
		stopped := make(chan struct{})
		go func() { defer close(stopped); e.Stop(t) }()
		e.WaitForLog(t, "gateway is stopping")
		gatewaytest.Eventually(t, func() error {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second) // It may be too early.
			defer cancel()
			ended := <-e.call(ctx, &pb.ProtoMessage{Body: "<Order/>"})
			if status.Code(ended.err) != codes.Unavailable || codeOf(ended.err) != "607" {
				return fmt.Errorf("call ended with %w, want UNAVAILABLE and code 607", ended.err)
			}
			return nil
		})
		send(t, r, amqp.Publishing{CorrelationId: "m-1", Body: []byte("reply")})
		wantReply(t, waiting, "reply")
		<-stopped
	})
}
