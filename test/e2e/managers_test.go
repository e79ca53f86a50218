package e2e

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"strings"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	pb "mqgateway/api/proto/gateway"
	"mqgateway/test/gatewaytest"
	"mqgateway/test/rabbittest"
)

// The size of the test of several brokers. At its full size it is run by:
// go test ./test/e2e -run SeveralBrokers -brokersfor 5m -brokersrate 800 -timeout 20m -v.
var (
	brokersFor  = flag.Duration("brokersfor", 12*time.Second, "how long messages flow while brokers are killed")
	brokersRate = flag.Int("brokersrate", 100, "messages a second, each way")
	brokersType = flag.String("brokerstype", "Common", "mq.connection.health.type of the gateways")
)

const (
	// killPeriod is the time between two kills.
	killPeriod = 20 * time.Second
	// confirms is the confirmTimeout of the gateways.
	confirms = 3 * time.Second
)

// trio are three independent brokers, QM1 to QM3, with queues IN and OUT.
type trio struct {
	nodes  [3]*rabbittest.Node
	vhosts [3]*rabbittest.VHost
}

func startTrio(t *testing.T) *trio {
	t.Helper()
	b := &trio{}
	for i := range b.nodes {
		b.nodes[i] = rabbittest.Start(t)
		b.vhosts[i] = b.nodes[i].VHost(t)
		newPartner(t, b.vhosts[i], "IN", "OUT")
	}
	return b
}

// connections are the addresses of all three, as configuration.
func (b *trio) connections() string {
	var all []string
	for i, v := range b.vhosts {
		all = append(all, fmt.Sprintf("{uri: %q, queueManager: QM%d}", v.URI(), i+1))
	}
	return "[" + strings.Join(all, ", ") + "]"
}

// provider sends to OUT.
func (b *trio) provider(kind string) string {
	return fmt.Sprintf(`
mq:
  systemType: sp
  workMode: async
  connection: {connections: %s, sendQueue: OUT, sendToCustomDestination: true, confirmTimeout: %s, health: {type: %s}}
`, b.connections(), confirms, kind)
}

// consumer reads IN.
func (b *trio) consumer(kind string, s *gatewaytest.Service) string {
	return fmt.Sprintf(`
mq:
  systemType: sc
  workMode: async
  connection: {connections: %s, receiveQueue: IN, confirmTimeout: %s, health: {type: %s}}
grpc: {client: {settings: {default: {hostname: 127.0.0.1, port: %s}}}}
routing: {routeList: [{destinationExpression: "'orders'"}]}
`, b.connections(), confirms, kind, s.Port())
}

// ofManager is a metric of manager i.
func ofManager(g *gatewaytest.Gateway, t *testing.T, name string, i int, labels string) float64 {
	t.Helper()
	return g.Metric(t, fmt.Sprintf(`%s{manager="QM%d"%s}`, name, i+1, labels))
}

// confirmed are the messages that each manager has confirmed so far.
func confirmed(t *testing.T, g *gatewaytest.Gateway) (n [3]float64) {
	t.Helper()
	for i := range n {
		n[i] = ofManager(g, t, "gateway_publishes_total", i, `,result="confirmed"`)
	}
	return n
}

// given are the messages that each manager was given so far.
func given(t *testing.T, g *gatewaytest.Gateway) (n [3]float64) {
	t.Helper()
	for i := range n {
		n[i] = ofManager(g, t, "gateway_manager_in_flight", i, "")
		for _, result := range []string{"confirmed", "unknown", "failed"} {
			n[i] += ofManager(g, t, "gateway_publishes_total", i, fmt.Sprintf(`,result=%q`, result))
		}
	}
	return n
}

func TestSeveralBrokers(t *testing.T) {
	t.Parallel()
	b := startTrio(t)
	t.Run("one stands still", func(t *testing.T) { oneStandsStill(t, b) })
	f := startFlood(t, b, *brokersType, *brokersRate)
	t.Run("they die in turn", func(t *testing.T) { theyDieInTurn(t, f) })
	t.Run("all die", func(t *testing.T) { allDie(t, f) })
}

// theyDieInTurn kills a broker from time to time while messages flow both ways.
func theyDieInTurn(t *testing.T, f *flood) {
	t.Helper()
	quiet := *brokersFor / 4 // before the first kill, and after the last one
	time.Sleep(quiet)
	for start := time.Now(); time.Since(start) < *brokersFor; {
		f.kill(t, len(f.outages)%3)
		next := start.Add(time.Duration(len(f.outages)) * killPeriod)
		time.Sleep(min(time.Until(next), time.Until(start.Add(*brokersFor))))
	}
	time.Sleep(quiet)
	f.stop()
	f.check(t)
}

// allDie leaves nothing to send to: callers and probes tell so, in time.
func allDie(t *testing.T, f *flood) {
	t.Helper()
	for _, n := range f.brokers.nodes {
		n.Kill(t)
	}
	dead := time.Now()
	within := func(what string, d time.Duration) {
		t.Helper()
		if took := time.Since(dead); took > d {
			t.Errorf("%s took %v, want at most %v", what, took, d)
		}
	}
	f.provider.WaitReady(t, 503)
	within("readiness", 10*time.Second)
	start := time.Now()
	_, err := f.client.ProcessMessage(t.Context(), &pb.ProtoMessage{MessageId: "nowhere"})
	if took := time.Since(start); codeOf(err) != "603" || took < confirms/2 || took > confirms+2*time.Second {
		t.Errorf("a call without brokers = %v after %v, want 603 within the confirm timeout", err, took)
	}
	if status, body := f.provider.Probe(t, "/actuator/health/liveness"); status != 200 {
		t.Errorf("liveness = %d %s, want it up", status, body)
	}
	f.brokers.nodes[0].Start(t)
	dead = time.Now()
	f.provider.WaitReady(t, 200)
	within("readiness with one broker back", 10*time.Second)
	if _, err := f.client.ProcessMessage(t.Context(), &pb.ProtoMessage{MessageId: "somewhere"}); err != nil {
		t.Errorf("a call with one broker = %v", err)
	}
}

// oneStandsStill lets a broker keep its connections and answer nothing. It costs its
// callers the confirm timeout once, and gets little until it goes on.
func oneStandsStill(t *testing.T, b *trio) {
	t.Helper()
	g := gatewaytest.Start(t, b.provider("Smart"))
	g.WaitReady(t, 200)
	c := client(t, g)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		every(ctx, *brokersRate, func(i int) {
			if _, err := c.ProcessMessage(context.Background(), &pb.ProtoMessage{MessageId: fmt.Sprint(i)}); err != nil {
				t.Errorf("call %d: %v", i, err)
			}
		})
	}()
	defer func() { cancel(); <-ended }()
	gatewaytest.Eventually(t, func() error {
		if n := confirmed(t, g); min(n[0], n[1], n[2]) < 10 {
			return fmt.Errorf("confirmed = %v, want some on each", n)
		}
		return nil
	})
	b.nodes[1].Pause(t)
	time.Sleep(confirms)
	before := given(t, g)
	time.Sleep(2 * time.Second)
	n := given(t, g)
	still, rest := n[1]-before[1], n[0]+n[2]-before[0]-before[2]
	if still > rest/10 || rest < float64(*brokersRate) {
		t.Errorf("a broker that stands still was given %v messages in two seconds after the confirm timeout, the others %v", still, rest)
	}
	met := confirmed(t, g)
	b.nodes[1].Resume(t)
	gatewaytest.Eventually(t, func() error {
		if w := ofManager(g, t, "gateway_manager_weight", 1, ""); w < 0.3 {
			return fmt.Errorf("weight of a broker that goes on = %v, want it to grow", w)
		}
		return nil
	})
	gatewaytest.Eventually(t, func() error {
		if after := confirmed(t, g); after[1] == met[1] {
			return errors.New("a broker that goes on confirms nothing")
		}
		return nil
	})
}

// threeManagers are a virtual host each of one broker.
func threeManagers(t *testing.T) *trio {
	t.Helper()
	b := &trio{}
	for i := range b.vhosts {
		b.nodes[i] = rabbittest.Shared(t)
		b.vhosts[i] = b.nodes[i].VHost(t)
	}
	return b
}

func TestDisabledManagerGetsNothing(t *testing.T) {
	t.Parallel()
	b := threeManagers(t)
	for _, v := range b.vhosts {
		newPartner(t, v, "IN", "OUT").put("IN", amqp.Publishing{Body: []byte("<Order/>")})
	}
	s := gatewaytest.Serve(t, "")
	const disabled = "mq:\n  consumerParams: {disableManagerIds: QM2}\n"
	g := gatewaytest.Start(t, strings.Replace(b.provider("Common"), "mq:\n", disabled, 1))
	gatewaytest.Start(t, strings.Replace(b.consumer("Common", s), "mq:\n", disabled, 1))
	g.WaitMetric(t, `gateway_manager_up{manager="QM3"}`, 1)
	g.WaitReady(t, 200)
	c := client(t, g)
	for range 10 {
		if _, err := c.ProcessMessage(t.Context(), &pb.ProtoMessage{}); err != nil {
			t.Fatal(err)
		}
	}
	if got := confirmed(t, g); got != [3]float64{5, 0, 5} {
		t.Errorf("confirmed = %v, want none on the one that is disabled", got)
	}
	if _, body := g.Probe(t, "/actuator/health"); !strings.Contains(body, `"manager QM2":{"status":"DOWN","details":{"disabled":"true"`) {
		t.Errorf("health = %s, want it to tell what is disabled", body)
	}
	_, err := c.ProcessMessage(override(t, "OUT", "QM2"), &pb.ProtoMessage{})
	if codeOf(err) != "603" || !strings.Contains(err.Error(), "disabled") {
		t.Errorf("call to the disabled manager = %v, want 603 that says so", err)
	}
	s.WaitCalls(t, 2)
	if n := b.vhosts[1].Messages(t, "IN"); n != 1 {
		t.Errorf("%d messages are left on the disabled manager, want its own", n)
	}
}

func TestMessageThatOneManagerCannotRouteGoesToAnother(t *testing.T) {
	t.Parallel()
	b := threeManagers(t)
	newPartner(t, b.vhosts[2], "OUT")
	g := gatewaytest.Start(t, b.provider("Common"))
	for i := range 3 {
		g.WaitMetric(t, fmt.Sprintf(`gateway_manager_up{manager="QM%d"}`, i+1), 1)
	}
	c := client(t, g)
	for range 9 {
		if _, err := c.ProcessMessage(t.Context(), &pb.ProtoMessage{}); err != nil {
			t.Fatal(err)
		}
	}
	if n := b.vhosts[2].Messages(t, "OUT"); n != 9 {
		t.Errorf("%d messages where the queue is, want all 9", n)
	}
	for i := range 3 {
		if up := ofManager(g, t, "gateway_manager_up", i, ""); up != 1 {
			t.Errorf("QM%d is out because of a queue that is not there", i+1)
		}
	}
	if _, err := c.ProcessMessage(override(t, "OUT", "QM1"), &pb.ProtoMessage{}); codeOf(err) != "603" {
		t.Errorf("call to a manager without the queue = %v, want 603", err)
	}
	if _, err := c.ProcessMessage(override(t, "OUT", "QM3"), &pb.ProtoMessage{}); err != nil {
		t.Errorf("call to the manager with the queue = %v", err)
	}
}

func TestAnswersGoToTheManagerOfTheirRequest(t *testing.T) {
	t.Parallel()
	b := threeManagers(t)
	s := gatewaytest.Serve(t, "")
	var partners []*partner
	for _, v := range b.vhosts {
		partners = append(partners, newPartner(t, v, "IN", "ANSWERS"))
	}
	gatewaytest.Start(t, strings.Replace(b.consumer("Smart", s), "workMode: async", "workMode: sync", 1))
	for i, p := range partners {
		for range 5 {
			p.put("IN", amqp.Publishing{ReplyTo: "ANSWERS", MessageId: fmt.Sprint(i), Body: []byte("<Order/>")})
		}
	}
	for i, p := range partners {
		for range 5 {
			if d := p.take("ANSWERS"); d.CorrelationId != fmt.Sprint(i) {
				t.Errorf("answer to %q came by QM%d", d.CorrelationId, i+1)
			}
		}
	}
}
