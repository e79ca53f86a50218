package e2e

import (
	"context"
	"flag"
	"fmt"
	"strings"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	pb "mqgateway/api/proto/gateway"
	"mqgateway/test/faults/proxy"
	"mqgateway/test/gatewaytest"
	"mqgateway/test/rabbittest"
)

// The size of the test of several brokers. At its full size it is run by:
// go test ./test/e2e -run SeveralBrokers -brokersfor 5m -brokersrate 800 -timeout 20m -v.
var (
	brokersFor  = flag.Duration("brokersfor", 6*time.Second, "how long messages flow while brokers are killed; from a minute on each is a node of its own")
	brokersRate = flag.Int("brokersrate", 100, "messages a second, each way")
	brokersType = flag.String("brokerstype", "Common", "mq.connection.health.type of the gateways")
)

const (
	// killPeriod is the time between two kills.
	killPeriod = 20 * time.Second
	// confirms is a confirmTimeout to wait for.
	confirms = 10 * time.Second
)

// trio are three managers, QM1 to QM3, with queues IN and OUT.
type trio struct {
	vhosts [3]*rabbittest.VHost
	// networks lead the gateways to them; nil where they go straight.
	networks [3]*proxy.Proxy
	// mortal managers, the first ones, are nodes of their own, which can be killed.
	mortal int
}

// startTrio makes the first one a node of its own, and all of them when they are to be
// killed for long.
func startTrio(t *testing.T) *trio {
	t.Helper()
	b := &trio{mortal: 1}
	if *brokersFor >= time.Minute {
		b.mortal = len(b.vhosts)
	}
	for i := range b.vhosts {
		node := rabbittest.Shared(t)
		if i < b.mortal {
			node = rabbittest.Start(t)
		}
		b.vhosts[i] = node.VHost(t)
		b.networks[i] = proxy.Start(t, node.Address())
		newPartner(t, b.vhosts[i], "IN", "OUT")
	}
	return b
}

// connections are the addresses of all three, as configuration.
func (b *trio) connections() string {
	var all []string
	for i, v := range b.vhosts {
		uri := v.URI()
		if b.networks[i] != nil {
			uri = strings.Replace(uri, v.Node.Address(), b.networks[i].Address, 1)
		}
		all = append(all, fmt.Sprintf("{uri: %q, queueManager: QM%d}", uri, i+1))
	}
	return "[" + strings.Join(all, ", ") + "]"
}

// provider sends to OUT.
func (b *trio) provider(kind string) string {
	return fmt.Sprintf(`
mq:
  systemType: sp
  workMode: async
  connection: {connections: %s, sendQueue: OUT, sendToCustomDestination: true, health: {type: %s}}
`, b.connections(), kind)
}

// consumer reads IN.
func (b *trio) consumer(kind string, s *gatewaytest.Service) string {
	return fmt.Sprintf(`
mq:
  systemType: sc
  workMode: async
  connection: {connections: %s, receiveQueue: IN, health: {type: %s}}
grpc: {client: {settings: {default: {hostname: 127.0.0.1, port: %s}}}}
routing: {routeList: [{destinationExpression: "'orders'"}]}
`, b.connections(), kind, s.Port())
}

// ofManager is the series of a metric of manager i.
func ofManager(name string, i int, labels string) string {
	return fmt.Sprintf(`%s{manager="QM%d"%s}`, name, i+1, labels)
}

// confirmed are the messages that each manager has confirmed so far.
func confirmed(t *testing.T, g *gatewaytest.Gateway) (n [3]float64) {
	t.Helper()
	all := g.Metrics(t)
	for i := range n {
		n[i] = all[ofManager("gateway_publishes_total", i, `,result="confirmed"`)]
	}
	return n
}

// given are the messages that each manager was given so far.
func given(t *testing.T, g *gatewaytest.Gateway) (n [3]float64) {
	t.Helper()
	all := g.Metrics(t)
	for i := range n {
		n[i] = all[ofManager("gateway_manager_in_flight", i, "")]
		for _, result := range []string{"confirmed", "unknown", "failed"} {
			n[i] += all[ofManager("gateway_publishes_total", i, fmt.Sprintf(`,result=%q`, result))]
		}
	}
	return n
}

func TestSeveralBrokers(t *testing.T) {
	t.Parallel()
	b := startTrio(t)
	t.Run("they die in turn", func(t *testing.T) { theyDieInTurn(t, b) })
	g := gatewaytest.Start(t, strings.Replace(b.provider("Smart"), "sendQueue", fmt.Sprintf("confirmTimeout: %s, sendQueue", confirms), 1))
	t.Run("one stands still", func(t *testing.T) { oneStandsStill(t, b, g) })
	t.Run("none is there", func(t *testing.T) { noneIsThere(t, b, g) })
}

// theyDieInTurn kills a broker from time to time while messages flow both ways.
func theyDieInTurn(t *testing.T, b *trio) {
	t.Helper()
	f := startFlood(t, b, *brokersType, *brokersRate)
	quiet := *brokersFor / 4 // before the first kill, and after the last one
	time.Sleep(quiet)
	for start := time.Now(); time.Since(start) < *brokersFor; {
		f.kill(t, len(f.outages)%b.mortal)
		next := start.Add(time.Duration(len(f.outages)) * killPeriod)
		time.Sleep(min(time.Until(next), time.Until(start.Add(*brokersFor))))
	}
	time.Sleep(quiet)
	f.stop()
	f.check(t)
}

// oneStandsStill lets a broker keep its connections and answer nothing. It costs its
// callers the confirm timeout once, and gets little until it goes on.
func oneStandsStill(t *testing.T, b *trio, g *gatewaytest.Gateway) {
	t.Helper()
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
	b.networks[1].Hold(proxy.Both)
	g.WaitMetricOf(t, ofManager("gateway_publishes_total", 1, `,result="unknown"`), 1)
	before := given(t, g)
	var still, rest float64
	gatewaytest.Eventually(t, func() error {
		n := given(t, g)
		still, rest = n[1]-before[1], n[0]+n[2]-before[0]-before[2]
		if rest < 200 {
			return fmt.Errorf("the others were given %v messages", rest)
		}
		return nil
	})
	if still > rest/10 {
		t.Errorf("a broker that stands still was given %v messages after the confirm timeout, the others %v", still, rest)
	}
	met := confirmed(t, g)
	b.networks[1].Heal()
	g.WaitMetricOf(t, ofManager("gateway_manager_weight", 1, ""), 0.3)
	g.WaitMetricOf(t, ofManager("gateway_publishes_total", 1, `,result="confirmed"`), met[1]+1)
}

// noneIsThere leaves nothing to send to: callers and probes tell so, until one is back.
func noneIsThere(t *testing.T, b *trio, g *gatewaytest.Gateway) {
	t.Helper()
	for _, n := range b.networks {
		n.Refuse()
		n.Reset()
	}
	g.WaitReady(t, 503)
	c, start := client(t, g), time.Now()
	_, err := c.ProcessMessage(t.Context(), &pb.ProtoMessage{MessageId: "nowhere"})
	if took := time.Since(start); codeOf(err) != "603" || took < confirms/2 {
		t.Errorf("a call without brokers = %v after %v, want 603 at the confirm timeout", err, took)
	}
	if status, body := g.Probe(t, "/actuator/health/liveness"); status != 200 {
		t.Errorf("liveness = %d %s, want it up", status, body)
	}
	b.networks[2].Heal()
	g.WaitReady(t, 200)
	if _, err := c.ProcessMessage(t.Context(), &pb.ProtoMessage{MessageId: "somewhere"}); err != nil {
		t.Errorf("a call with one broker = %v", err)
	}
}

// threeManagers are a virtual host each of one broker.
func threeManagers(t *testing.T) *trio {
	t.Helper()
	b := &trio{}
	for i := range b.vhosts {
		b.vhosts[i] = rabbittest.Shared(t).VHost(t)
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
	for _, i := range []int{0, 2} {
		g.WaitMetric(t, ofManager("gateway_manager_up", i, ""), 1)
	}
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
	gatewaytest.Eventually(t, func() error {
		if n := b.vhosts[1].Messages(t, "IN"); n != 1 {
			return fmt.Errorf("%d messages are left on the disabled manager, want its own", n)
		}
		return nil
	})
}

func TestMessageThatOneManagerCannotRouteGoesToAnother(t *testing.T) {
	t.Parallel()
	b := threeManagers(t)
	newPartner(t, b.vhosts[2], "OUT")
	g := gatewaytest.Start(t, b.provider("Common"))
	for i := range 3 {
		g.WaitMetric(t, ofManager("gateway_manager_up", i, ""), 1)
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
		if up := g.Metric(t, ofManager("gateway_manager_up", i, "")); up != 1 {
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
