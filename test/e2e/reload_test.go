package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	amqp "github.com/rabbitmq/amqp091-go"
	"google.golang.org/grpc/codes"

	pb "mqgateway/api/proto/gateway"
	"mqgateway/test/faults/proxy"
	"mqgateway/test/gatewaytest"
	"mqgateway/test/rabbittest"
)

// routedTo is a consumer gateway that calls one authority for every message.
func routedTo(vhost *rabbittest.VHost, s *gatewaytest.Service, authority string) string {
	return strings.Replace(consumer(vhost, s), "toLower(Root)", `'"`+authority+`"'`, 1)
}

// apply changes the configuration of a gateway and waits until it holds.
func apply(t *testing.T, g *gatewaytest.Gateway, config string) {
	t.Helper()
	applied := g.Reloads(t, "applied")
	g.Configure(t, config)
	g.Hangup(t) // to wait for no look at the file
	g.WaitReloads(t, "applied", applied+1)
}

// TestRoutesChangeBetweenTwoMessages changes them under load: no message is lost, each
// goes to the old destination or to the new one.
func TestRoutesChangeBetweenTwoMessages(t *testing.T) {
	t.Parallel()
	vhost := rabbittest.Shared(t).VHost(t)
	s, p := gatewaytest.Serve(t, ""), newPartner(t, vhost, "IN")
	g := gatewaytest.Start(t, routedTo(vhost, s, "old"))
	stop, sent := make(chan struct{}), make(chan int)
	go func() { sent <- putUntil(t.Context(), vhost, stop) }()
	s.WaitCalls(t, 50)
	apply(t, g, routedTo(vhost, s, "new"))
	s.WaitCalls(t, len(s.Calls())+50)
	close(stop)
	n := <-sent
	s.WaitCalls(t, n)
	p.waitEmpty("IN")
	seen, authorities := map[string]int{}, map[string]int{}
	for _, c := range s.Calls() {
		seen[c.Message.GetMessageId()]++
		authorities[c.Authority]++
	}
	t.Logf("%d messages, by authority: %v", n, authorities)
	if len(seen) != n || len(s.Calls()) != n {
		t.Errorf("%d messages came in %d calls, want each of %d once", len(seen), len(s.Calls()), n)
	}
	if authorities["old"] == 0 || authorities["new"] == 0 || len(authorities) != 2 {
		t.Errorf("calls by authority = %v, want only the old one and the new one", authorities)
	}
	p.put("IN", amqp.Publishing{Body: []byte("<Orders/>")})
	if last := s.WaitCalls(t, n+1)[n]; last.Authority != "new" {
		t.Errorf("a message after the change goes to %q, want new", last.Authority)
	}
	line := g.WaitForLog(t, "configuration key is changed")
	if line["key"] != "routing.routeList[0].destinationExpression" || line["old"] != `"old"` || line["new"] != `"new"` {
		t.Errorf("log line = %v, want the key with its values", line)
	}
}

// putUntil puts messages with different ids on IN until stop is closed, and returns how
// many.
func putUntil(ctx context.Context, vhost *rabbittest.VHost, stop <-chan struct{}) (n int) {
	conn, err := amqp.Dial(vhost.URI())
	if err != nil {
		return -1
	}
	defer func() { _ = conn.Close() }()
	ch, err := conn.Channel()
	if err != nil || ch.Confirm(false) != nil {
		return -1
	}
	for {
		select {
		case <-stop:
			return n
		default:
		}
		confirm, err := ch.PublishWithDeferredConfirmWithContext(ctx, "", "IN", true, false,
			amqp.Publishing{MessageId: fmt.Sprint(n), DeliveryMode: amqp.Persistent, Body: []byte("<Orders/>")})
		if err != nil {
			return -1
		}
		if ok, err := confirm.WaitContext(ctx); !ok || err != nil {
			return -1
		}
		n++
	}
}

func TestBrokenEditIsRefusedWhole(t *testing.T) {
	t.Parallel()
	vhost := rabbittest.Shared(t).VHost(t)
	s, p := gatewaytest.Serve(t, ""), newPartner(t, vhost, "IN")
	g := gatewaytest.Start(t, routedTo(vhost, s, "old"))
	broken := strings.NewReplacer(`'"new"'`, `upper(Root`, "sendQueue", "sendQueu").Replace(routedTo(vhost, s, "new"))
	g.Configure(t, broken)
	g.WaitReloads(t, "refused", 1)
	g.WaitForLog(t, "change of the configuration is refused as a whole")
	keys := map[any]bool{}
	for _, line := range g.Logged("configuration") {
		if !strings.Contains(fmt.Sprint(line["place"]), "application.yml:") || line["problem"] == "" {
			t.Errorf("log line = %v, want the place and the problem", line)
		}
		keys[line["key"]] = true
	}
	if len(keys) != 2 || !keys["mq.connection.sendQueu"] || !keys["routing.routeList[0].destinationExpression"] {
		t.Errorf("problems of the keys %v are logged, want both that are wrong", keys)
	}
	p.put("IN", amqp.Publishing{Body: []byte("<Orders/>")})
	if got := s.WaitCalls(t, 1)[0].Authority; got != "old" {
		t.Errorf("the message goes to %q, want the old destination", got)
	}
	g.WaitMetric(t, "gateway_config_correct", 0)
	apply(t, g, routedTo(vhost, s, "new"))
	g.WaitMetric(t, "gateway_config_correct", 1)
	p.put("IN", amqp.Publishing{Body: []byte("<Orders/>")})
	if got := s.WaitCalls(t, 2)[1].Authority; got != "new" {
		t.Errorf("the message goes to %q, want the new destination", got)
	}
	if got := len(g.Logged("change of the configuration is refused")); got != 1 {
		t.Errorf("the refusal is logged %d times, want once", got)
	}
}

// TestConfigMapIsSwapped changes the configuration as the kubelet does: a new folder, and
// a link to it that is replaced.
func TestConfigMapIsSwapped(t *testing.T) {
	t.Parallel()
	vhost := rabbittest.Shared(t).VHost(t)
	s, p := gatewaytest.Serve(t, ""), newPartner(t, vhost, "IN")
	mount := t.TempDir()
	swap := func(version, config string) {
		folder := filepath.Join(mount, version)
		if err := os.Mkdir(folder, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder, "application.yml"), []byte(config), 0o600); err != nil {
			t.Fatal(err)
		}
		replaceLink(t, version, filepath.Join(mount, "..data"))
	}
	swap("..2026_01_01_00_00_00.1", routedTo(vhost, s, "old"))
	replaceLink(t, filepath.Join("..data", "application.yml"), filepath.Join(mount, "application.yml"))
	g := gatewaytest.StartFile(t, filepath.Join(mount, "application.yml"))
	swap("..2026_01_01_00_00_00.2", routedTo(vhost, s, "new"))
	if err := os.RemoveAll(filepath.Join(mount, "..2026_01_01_00_00_00.1")); err != nil {
		t.Fatal(err)
	}
	g.WaitReloads(t, "applied", 1)
	p.put("IN", amqp.Publishing{Body: []byte("<Orders/>")})
	if got := s.WaitCalls(t, 1)[0].Authority; got != "new" {
		t.Errorf("the message goes to %q, want the new destination", got)
	}
}

// replaceLink makes name a link to target, at one instant.
func replaceLink(t *testing.T, target, name string) {
	t.Helper()
	if err := os.Symlink(target, name+"_tmp"); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(name+"_tmp", name); err != nil {
		t.Fatal(err)
	}
}

func TestKeyThatTakesARestart(t *testing.T) {
	t.Parallel()
	vhost := rabbittest.Shared(t).VHost(t)
	s, p := gatewaytest.Serve(t, ""), newPartner(t, vhost, "IN", "OTHER")
	g := gatewaytest.Start(t, routedTo(vhost, s, "old"))
	g.WaitReady(t, 200)
	other := func(authority string) string {
		return strings.Replace(routedTo(vhost, s, authority), "receiveQueue: IN", "receiveQueue: OTHER", 1)
	}
	g.Configure(t, other("old"))
	g.WaitReloads(t, "nothing", 1)
	line := g.WaitForLog(t, "configuration key is not changed: it takes a restart")
	if line["key"] != "mq.connection.receiveQueue" || line["old"] != "[IN]" || line["new"] != "[OTHER]" {
		t.Errorf("log line = %v, want the key with its values", line)
	}
	apply(t, g, other("new"))
	g.WaitMetric(t, "gateway_config_keys_waiting", 1)
	p.put("OTHER", amqp.Publishing{Body: []byte("<Orders/>")})
	p.put("IN", amqp.Publishing{MessageId: "m-1", Body: []byte("<Orders/>")})
	if call := s.WaitCalls(t, 1)[0]; call.Message.GetMessageId() != "m-1" || call.Authority != "new" {
		t.Errorf("message %q goes to %q, want the one of the old queue by the new route", call.Message.GetMessageId(), call.Authority)
	}
}

func TestSendQueueChangesUnderLoad(t *testing.T) {
	t.Parallel()
	vhost := rabbittest.Shared(t).VHost(t)
	s := gatewaytest.Serve(t, "")
	sendingTo := func(queue string) string {
		return strings.Replace(provider(vhost, s), "sendQueue: OUT", "sendQueue: "+queue+"\n    declareQueues: quorum", 1)
	}
	g := gatewaytest.Start(t, sendingTo("OUT"))
	g.WaitReady(t, 200)
	c := client(t, g)
	var calls atomic.Int64
	stop, ended := make(chan struct{}), make(chan error, 8)
	for range cap(ended) {
		go func() { ended <- callUntil(t.Context(), c, &calls, stop) }()
	}
	waitFor(t, &calls, 100)
	apply(t, g, sendingTo("NEXT"))
	waitFor(t, &calls, calls.Load()+100)
	close(stop)
	for range cap(ended) {
		if err := <-ended; err != nil {
			t.Errorf("a call failed: %v", err)
		}
	}
	n := int(calls.Load())
	gatewaytest.Eventually(t, func() error {
		old, next := vhost.Messages(t, "OUT"), vhost.Messages(t, "NEXT")
		if old+next != n || old == 0 || next == 0 {
			return fmt.Errorf("%d and %d messages in the old and new queue, want %d together", old, next, n)
		}
		t.Logf("%d messages: %d in the old queue, %d in the new", n, old, next)
		return nil
	})
}

// callUntil calls the gateway, and counts the calls, until stop is closed.
func callUntil(ctx context.Context, c pb.MessageAsyncChannelClient, calls *atomic.Int64, stop <-chan struct{}) error {
	for {
		select {
		case <-stop:
			return nil
		default:
		}
		if _, err := c.ProcessMessage(ctx, &pb.ProtoMessage{Body: "<Orders/>"}); err != nil {
			return err
		}
		calls.Add(1)
	}
}

func waitFor(t *testing.T, n *atomic.Int64, want int64) {
	t.Helper()
	gatewaytest.Eventually(t, func() error {
		if got := n.Load(); got < want {
			return fmt.Errorf("%d calls, want %d", got, want)
		}
		return nil
	})
}

// TestCallsThatWaitGetTheirRepliesAfterAChange: who waits belongs to no configuration.
func TestCallsThatWaitGetTheirRepliesAfterAChange(t *testing.T) {
	inEachMode(t, func(t *testing.T, mode string) {
		e := startExchange(t, mode, longWait)
		requests := takeRequests(t, e.vhost)
		early := e.call(t.Context(), &pb.ProtoMessage{Body: "early"})
		r := <-requests
		newPartner(t, e.vhost, "NEXT")
		apply(t, e.Gateway, strings.Replace(syncProvider(e.vhost, mode, longWait), "sendQueue: OUT", "sendQueue: NEXT", 1))
		send(t, r, amqp.Publishing{CorrelationId: r.MessageId, Body: []byte("reply to early")})
		wantReply(t, early, "reply to early")
		late := e.call(t.Context(), &pb.ProtoMessage{Body: "late"})
		d := e.take("NEXT")
		send(t, request{d, e.channel}, amqp.Publishing{CorrelationId: d.MessageId, Body: []byte("reply to late")})
		wantReply(t, late, "reply to late")
	})
}

// TestRequestInWorkIsAnsweredAsItBegan takes the only place that its answer can go to out
// of the configuration while the service is at work.
func TestRequestInWorkIsAnsweredAsItBegan(t *testing.T) {
	t.Parallel()
	vhost := rabbittest.Shared(t).VHost(t)
	s, p := gatewaytest.Serve(t, ""), newPartner(t, vhost, "IN", "OUT")
	without := syncConsumer(vhost, s)
	g := gatewaytest.Start(t, strings.Replace(without, "receiveQueue: IN", "receiveQueue: IN\n    sendQueue: OUT", 1))
	hold := make(chan struct{})
	s.Set(codes.OK, hold)
	p.put("IN", amqp.Publishing{MessageId: "m-1", Body: []byte("<Orders/>")})
	s.WaitCalls(t, 1)
	apply(t, g, without)
	close(hold)
	if got := p.take("OUT"); got.CorrelationId != "m-1" {
		t.Errorf("answer has CorrelId %q, want that of the request", got.CorrelationId)
	}
	p.put("IN", amqp.Publishing{MessageId: "m-2", Body: []byte("<Orders/>")})
	if letter := p.take("IN.DLQ"); letter.MessageId != "m-2" {
		t.Errorf("dead letter = %q, want the request that comes when no answer can go anywhere", letter.MessageId)
	}
	if got := len(s.Calls()); got != 1 {
		t.Errorf("the service is called %d times, want once", got)
	}
}

func TestHangupReadsTheConfigurationAtOnce(t *testing.T) {
	t.Parallel()
	vhost := rabbittest.Shared(t).VHost(t)
	s := gatewaytest.Serve(t, "")
	g := gatewaytest.Start(t, routedTo(vhost, s, "old"))
	g.Hangup(t)
	g.WaitForLog(t, "configuration is read again; it is the one that runs")
	before := g.Metric(t, "gateway_config_applied_timestamp_seconds")
	g.Configure(t, routedTo(vhost, s, "new"))
	g.Hangup(t)
	g.WaitReloads(t, "applied", 1)
	if after := g.Metric(t, "gateway_config_applied_timestamp_seconds"); after <= before {
		t.Errorf("configuration was applied at %f, and then at %f", before, after)
	}
}

func TestReadingIsPausedByAChange(t *testing.T) {
	t.Parallel()
	vhost := rabbittest.Shared(t).VHost(t)
	s, p := gatewaytest.Serve(t, ""), newPartner(t, vhost, "IN")
	reading := routedTo(vhost, s, "orders")
	g := gatewaytest.Start(t, reading)
	g.WaitReady(t, 200)
	apply(t, g, strings.Replace(reading, "workMode: async", "workMode: async\n  consumerParams: {readEnabled: false}", 1))
	g.WaitMetric(t, `gateway_queue_subscribed{manager="QM1",queue="IN"}`, 0)
	p.put("IN", amqp.Publishing{Body: []byte("<Orders/>")})
	gatewaytest.Eventually(t, func() error { // put does not wait for a confirm
		if got := vhost.Messages(t, "IN"); got != 1 {
			return fmt.Errorf("%d messages in the queue, want the one", got)
		}
		return nil
	})
	if got := s.Calls(); len(got) > 0 {
		t.Errorf("%d calls while reading is paused", len(got))
	}
	apply(t, g, reading)
	s.WaitCalls(t, 1)
}

func TestManagerIsTakenOutByAChange(t *testing.T) {
	t.Parallel()
	node := rabbittest.Shared(t)
	first, second := node.VHost(t), node.VHost(t)
	newPartner(t, first, "OUT", "IN")
	newPartner(t, second, "OUT", "IN")
	both := strings.Replace(provider(first, gatewaytest.Serve(t, "")), "queueManager: QM1}", fmt.Sprintf("queueManager: QM1}, {uri: %q, queueManager: QM2}", second.URI()), 1)
	g := gatewaytest.Start(t, both)
	for _, m := range []string{"QM1", "QM2"} {
		g.WaitMetric(t, fmt.Sprintf("gateway_manager_up{manager=%q}", m), 1)
	}
	apply(t, g, strings.Replace(both, "workMode: async", "workMode: async\n  consumerParams: {disableManagerIds: QM1}", 1))
	if err := callEach(t.Context(), client(t, g), 20); err != nil {
		t.Fatal(err)
	}
	gatewaytest.Eventually(t, func() error {
		if got, other := second.Messages(t, "OUT"), first.Messages(t, "OUT"); got != 20 || other != 0 {
			return fmt.Errorf("%d messages on the manager that is left and %d on the other, want 20 and 0", got, other)
		}
		return nil
	})
}

// TestManagerThatHangsIsTakenOutAtOnce: it must not be asked for anything before.
func TestManagerThatHangsIsTakenOutAtOnce(t *testing.T) {
	t.Parallel()
	node := rabbittest.Shared(t)
	vhost, other := node.VHost(t), node.VHost(t)
	both, network := through(t, vhost, provider(vhost, gatewaytest.Serve(t, "")))
	both = strings.Replace(both, "queueManager: QM1}", fmt.Sprintf("queueManager: QM1}, {uri: %q, queueManager: QM2}", other.URI()), 1)
	both = strings.Replace(both, "sendQueue: OUT", "sendQueue: OUT\n    declareQueues: classic\n    health: {period: 1m}", 1)
	g := gatewaytest.Start(t, both)
	for _, m := range []string{"QM1", "QM2"} {
		g.WaitMetric(t, fmt.Sprintf("gateway_manager_up{manager=%q}", m), 1)
	}
	network.Hold(proxy.Both)
	apply(t, g, strings.Replace(both, "workMode: async", "workMode: async\n  consumerParams: {disableManagerIds: QM1}", 1))
	if got := g.Logged("queue can't be declared"); len(got) > 0 {
		t.Errorf("logged %v, want nothing asked of the manager that hangs", got)
	}
}

// TestReplyQueueMayNotBeTheNewSendQueue: the gateway would read its own requests.
func TestReplyQueueMayNotBeTheNewSendQueue(t *testing.T) {
	t.Parallel()
	vhost := rabbittest.Shared(t).VHost(t)
	newPartner(t, vhost, "OUT", "NEXT")
	config := strings.Replace(syncProvider(vhost, "SHARED", longWait), "defaultReceiveQueue: REPLIES, ", "", 1)
	g := gatewaytest.Start(t, config)
	g.WaitReady(t, 200)
	apply(t, g, strings.Replace(config, "sendQueue: OUT", "sendQueue: NEXT", 1))
	_, err := pb.NewMessageSyncChannelClient(dial(t, g)).ProcessMessage(t.Context(), &pb.ProtoMessage{
		Body: "<Orders/>", SystemHeaders: map[string]string{"ReplyToQ": "NEXT"},
	})
	if codeOf(err) != "606" || !strings.Contains(err.Error(), "other messages") {
		t.Errorf("call ended with %v, want 606: the queue is the send queue", err)
	}
}

func TestFailureHandlingChanges(t *testing.T) {
	t.Parallel()
	vhost := rabbittest.Shared(t).VHost(t)
	s, p := gatewaytest.Serve(t, ""), newPartner(t, vhost, "IN")
	config := routedTo(vhost, s, "orders")
	g := gatewaytest.Start(t, config)
	s.Set(codes.InvalidArgument, nil)
	p.put("IN", amqp.Publishing{MessageId: "m-1", Body: []byte("<Orders/>")})
	p.take("IN.DLQ")
	apply(t, g, strings.Replace(config, "workMode: async", "workMode: async\n  failure: {deadLetterQueue: DEAD}", 1))
	p.put("IN", amqp.Publishing{MessageId: "m-2", Body: []byte("<Orders/>")})
	if got := p.take("DEAD").MessageId; got != "m-2" {
		t.Errorf("dead letter = %q, want the message that came after the change", got)
	}
	p.waitEmpty("IN.DLQ")
}

// TestRouteIsMendedUnderMessagesThatAreRetried: a message that waits for its next try
// takes the new route then.
func TestRouteIsMendedUnderMessagesThatAreRetried(t *testing.T) {
	t.Parallel()
	vhost := rabbittest.Shared(t).VHost(t)
	s, p := gatewaytest.Serve(t, ""), newPartner(t, vhost, "IN")
	g := gatewaytest.Start(t, routedTo(vhost, s, "old"))
	s.Set(codes.Unavailable, nil)
	p.put("IN", amqp.Publishing{MessageId: "m-1", Body: []byte("<Orders/>")})
	s.WaitCalls(t, 2)
	apply(t, g, routedTo(vhost, s, "new"))
	s.Set(codes.OK, nil)
	p.waitEmpty("IN")
	gatewaytest.Eventually(t, func() error {
		calls := s.Calls()
		if last := calls[len(calls)-1]; last.Authority != "new" || last.Message.GetMessageId() != "m-1" {
			return fmt.Errorf("the last call is that of %q to %q", last.Message.GetMessageId(), last.Authority)
		}
		return nil
	})
}

// TestMessagesParkedByOldPausesComeBack: what a message waits in does not depend on what
// the configuration says when it comes back. The delay queue is an operator's to delete
// then, and made again when it is needed.
func TestMessagesParkedByOldPausesComeBack(t *testing.T) {
	t.Parallel()
	vhost := rabbittest.Shared(t).VHost(t)
	s, p := gatewaytest.Serve(t, ""), newPartner(t, vhost, "IN")
	pausing := func(pause string) string {
		return failure(routedTo(vhost, s, "orders"), "retry: {initial: "+pause+", max: "+pause+", inPlaceMax: 0}")
	}
	g := gatewaytest.Start(t, pausing("4s"))
	const parked = `gateway_messages_parked_total{code="602",flow="queue-to-service",manager="QM1",queue="IN"}`
	s.Set(codes.Unavailable, nil)
	p.put("IN", amqp.Publishing{MessageId: "m-1", Body: []byte("<Orders/>")})
	g.WaitMetricOf(t, parked, 1)
	s.Set(codes.OK, nil)
	apply(t, g, pausing("2m"))
	waitTaken(t, s, "orders", 1)
	p.waitEmpty("IN.RETRY.4000ms")
	if _, err := p.channel.QueueDelete("IN.RETRY.4000ms", false, false, false); err != nil {
		t.Fatal(err)
	}
	apply(t, g, pausing("4s"))
	s.Set(codes.Unavailable, nil)
	before := g.Metric(t, parked)
	p.put("IN", amqp.Publishing{MessageId: "m-2", Body: []byte("<Orders/>")})
	g.WaitMetricOf(t, parked, before+1)
	s.Set(codes.OK, nil)
	waitTaken(t, s, "orders", 2)
}
