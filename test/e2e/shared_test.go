package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"google.golang.org/grpc/codes"

	pb "mqgateway/api/proto/gateway"
	"mqgateway/test/gatewaytest"
	"mqgateway/test/ports"
	"mqgateway/test/rabbittest"
)

func TestCallersNameTheirReplyQueue(t *testing.T) {
	t.Parallel()
	vhost := rabbittest.Shared(t).VHost(t)
	p := newPartner(t, vhost, "OUT", sharedQueue, "OWN.1", "OTHER")
	config := strings.Replace(syncProvider(vhost, "SHARED_SINGLE", longWait), "defaultReceiveQueue: REPLIES", "allowedReplyQueues: [OWN.*]", 1)
	config = strings.Replace(config, "sendQueue: OUT", "sendQueue: OUT, confirmTimeout: 10s", 1)
	g := gatewaytest.Start(t, config)
	g.WaitReady(t, 200)
	e := &exchange{g, p, pb.NewMessageSyncChannelClient(dial(t, g))}
	requests := takeRequests(t, vhost)
	ask := func(queue string) <-chan result {
		return e.call(t.Context(), &pb.ProtoMessage{Body: "<Order/>", SystemHeaders: map[string]string{"ReplyToQ": queue}})
	}

	missing := ask("OWN.2") // It ends by the confirm timeout.
	ended := ask("OWN.1")
	r := <-requests
	if r.ReplyTo != "OWN.1" || r.Headers["x-reply-to-manager"] != "QM1" {
		t.Errorf("request: replies to %q on %v, want OWN.1 on QM1", r.ReplyTo, r.Headers["x-reply-to-manager"])
	}
	send(t, r, amqp.Publishing{CorrelationId: r.MessageId, Body: []byte("reply")})
	wantReply(t, ended, "reply")
	e.WaitMetric(t, "gateway_reply_queues_open", 2)
	send(t, r, amqp.Publishing{CorrelationId: "theirs", Body: []byte("foreign")})
	if got := e.take("OWN.1.UNCLAIMED"); got.CorrelationId != "theirs" {
		t.Errorf("put aside = %+v, want the foreign reply", got)
	}

	wantFailure(t, missing, codes.Unavailable, "603") // It does not exist.
	for _, queue := range []string{"OTHER", "OUT", "OWN.1.DLQ", "OWN.1.UNCLAIMED", "OWN.1.GW.gateway-1", "exchange:OWN.1/key", "OWN." + strings.Repeat("x", 200)} {
		wantFailure(t, ask(queue), codes.InvalidArgument, "606")
	}
	wantFailure(t, e.call(t.Context(), &pb.ProtoMessage{Body: "<Order/>"}), codes.InvalidArgument, "606") // It names none.
	if len(requests) != 0 {
		t.Errorf("requests sent for refused calls = %d, want 0", len(requests))
	}
}

func TestInstanceWithoutRightsIsNotReady(t *testing.T) {
	t.Parallel()
	vhost := rabbittest.Shared(t).VHost(t)
	newPartner(t, vhost, "OUT", sharedQueue)
	uri := vhost.UserURI(t, "nothing", ".*", ".*")
	config := strings.Replace(syncProvider(vhost, "SHARED", longWait), vhost.URI(), uri, 1)
	g := gatewaytest.Start(t, config)
	line := g.WaitForLog(t, "queue can't be read")
	if text := fmt.Sprint(line["err"]); !strings.Contains(text, `configure, write and read on REPLIES\.GW.*`) || !strings.Contains(text, "REPLIES.GW") {
		t.Errorf("log line = %v, want the rights and the object", line)
	}
	g.WaitReady(t, 503)
}

func TestRightsThatSharedRepliesTake(t *testing.T) {
	t.Parallel()
	vhost := rabbittest.Shared(t).VHost(t)
	p := newPartner(t, vhost, "OUT", sharedQueue)
	uri := vhost.UserURI(t, `^REPLIES\.(GW.*|UNCLAIMED|DLQ)$`, `^(REPLIES\.GW.*|amq\.default)$`, `^REPLIES(\.GW.*)?$`)
	g := gatewaytest.Start(t, strings.Replace(syncProvider(vhost, "SHARED", longWait), vhost.URI(), uri, 1))
	g.WaitReady(t, 200)
	e := &exchange{g, p, pb.NewMessageSyncChannelClient(dial(t, g))}
	requests := takeRequests(t, vhost)
	ended := e.call(t.Context(), &pb.ProtoMessage{Body: "<Order/>"})
	r := <-requests
	send(t, r, amqp.Publishing{CorrelationId: "theirs"})
	send(t, r, amqp.Publishing{CorrelationId: r.CorrelationId, Body: []byte("reply")})
	wantReply(t, ended, "reply")
	e.take(sharedQueue + ".UNCLAIMED")
}

// In a cluster, quorum queues outlive a node.
func TestQueuesOfInstancesThatAnOperatorMade(t *testing.T) {
	t.Parallel()
	vhost := rabbittest.Shared(t).VHost(t)
	for i := range sharedInstances {
		arguments := amqp.Table{"x-queue-type": "quorum", "x-message-ttl": int64(gatewaytest.Patience / time.Millisecond)}
		if _, err := vhost.Channel(t).QueueDeclare(fmt.Sprintf("REPLIES.GW.5dddcc6455.pod%02d", i+1), true, false, false, false, arguments); err != nil {
			t.Fatal(err)
		}
	}
	f := startFleet(t, vhost, "SHARED_SINGLE", gatewaytest.Patience)
	for _, f.habit = range []habit{calledByTag, calledByID} {
		if n := f.calls(t, func(i int) bool { return i < 200 }); n.replied.Load() != 200 {
			t.Errorf("%s: %v, want a reply to each of 200 calls", f.habit.name, n)
		}
	}
}

// What instances exchange replies by is made again when it is lost, while calls wait.
func TestObjectsOfSharedRepliesAreMadeAgain(t *testing.T) {
	t.Parallel()
	f := startFleet(t, rabbittest.Shared(t).VHost(t), "SHARED_SINGLE", gatewaytest.Patience)
	p := newPartner(t, f.vhost)
	for i := range sharedInstances {
		if _, err := p.channel.QueueDelete(fmt.Sprintf("REPLIES.GW.5dddcc6455.pod%02d", i+1), false, false, false); err != nil {
			t.Fatal(err)
		}
	}
	f.vhost.CloseConnections(t)
	f.waitReady(t, 200)
	for i := range f.clients {
		gatewaytest.Eventually(t, func() error { // Each has to notice, and the external system has to come back.
			_, err := f.clients[i].ProcessMessage(t.Context(), &pb.ProtoMessage{Body: "first"})
			return err
		})
	}
	for _, f.habit = range []habit{calledByTag, calledByID} {
		if n := f.calls(t, func(i int) bool { return i < 200 }); n.replied.Load() != 200 {
			t.Errorf("%s: %v, want a reply to each of 200 calls", f.habit.name, n)
		}
	}
}

func TestSharedRepliesByTheBrokerInside(t *testing.T) {
	t.Parallel()
	s, dir, port := gatewaytest.Serve(t, ""), filepath.Join(t.TempDir(), "data"), ports.Free()
	s.Answer(func(in *pb.ProtoMessage) *pb.ProtoMessage { return &pb.ProtoMessage{Body: "reply to " + in.GetBody()} })
	const sends = `
mq:
  instance: %s
  provider: %s
  systemType: sp
  workMode: sync
  connection: {%s, sendQueue: OUT}
  syncReceiver: {defaultReceiveQueue: REPLIES, maxProcessingTime: 60s}
`
	inside := fmt.Sprintf(sends, "gateway-1", "embedded", "confirmTimeout: 1m")
	inside += fmt.Sprintf("  embedded: {directory: %q, listen: \"127.0.0.1:%d\"}\n", dir, port)
	first := gatewaytest.Start(t, inside)
	first.WaitReady(t, 200)
	token, err := os.ReadFile(filepath.Join(dir, "token"))
	if err != nil {
		t.Fatal(err)
	}
	connections := fmt.Sprintf("connections: [{uri: \"nats://%s@127.0.0.1:%d\", queueManager: embedded}]", strings.TrimSpace(string(token)), port)
	second := gatewaytest.Start(t, fmt.Sprintf(sends, "gateway-2", "nats", connections))
	second.WaitReady(t, 200)
	gatewaytest.Start(t, fmt.Sprintf(`
mq:
  provider: nats
  workMode: sync
  connection: {%s, receiveQueueSync: OUT}
grpc: {client: {settings: {default: {hostname: 127.0.0.1, port: %s}}}}
routing: {routeList: [{destinationExpression: "'service'"}]}
`, connections, s.Port()))

	f := &fleet{load: load{mode: "SHARED_SINGLE", gateways: []*gatewaytest.Gateway{first, second}}}
	for _, g := range f.gateways {
		f.clients = append(f.clients, pb.NewMessageSyncChannelClient(dial(t, g)))
	}
	for _, f.habit = range []habit{calledByTag, calledByID} {
		before := f.counts(t)
		if n := f.calls(t, func(i int) bool { return i < 300 }); n.replied.Load() != 300 {
			t.Errorf("%s: %v, want 300 replies", f.habit.name, n)
		}
		gatewaytest.Eventually(t, func() error {
			if c := f.counts(t).minus(before); c.handedOver+c.asked == 0 || c.matched != 300 {
				return fmt.Errorf("%s: %v, want 300 matched, some of them by way of the other instance", f.habit.name, c)
			}
			return nil
		})
	}
}
