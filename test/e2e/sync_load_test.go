package e2e

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "mqgateway/api/proto/gateway"
	"mqgateway/test/faults/proxy"
	"mqgateway/test/gatewaytest"
	"mqgateway/test/rabbittest"
)

// loadRequests is the size of the load test in each mode. At its full size it is
// run by: go test ./test/e2e -run UnderLoad -requests 20000 -v.
var loadRequests = flag.Int("requests", 600, "requests of the load test, in each mode")

const (
	// loadInstances of the gateway share the load of loadCallers.
	loadInstances = 3
	loadCallers   = 64
	// loadWait is their maxProcessingTime, which replies in time are far below.
	loadWait = 5 * time.Second
	// lateShare of the requests are answered after it.
	lateShare = 0.05
)

func TestEachCallerGetsItsOwnReplyUnderLoad(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"UNIQUE", "DIRECT", "SHARED_SINGLE"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			vhost := rabbittest.Shared(t).VHost(t)
			l, network := startLoad(t, vhost, mode)
			l.everybodyIsAnswered(t, *loadRequests)
			l.brokerIsAway(t, network)
			l.instanceIsKilled(t, *loadRequests/4)
		})
	}
}

// load is a number of gateways that share a queue of requests, and an external
// system that answers them in any order, some of them late.
type load struct {
	mode     string
	habit    habit
	gateways []*gatewaytest.Gateway
	clients  []pb.MessageSyncChannelClient
	sent     atomic.Int64 // replies that the external system has sent
	number   atomic.Int64 // of the next call
	seen     sync.Map     // bodies of the requests that the external system has
	gate     gate         // before the external system answers
}

// gate lets everybody through unless it is shut.
type gate struct {
	mu      sync.Mutex // guards both
	shut    chan struct{}
	waiting int
}

// pass waits while the gate is shut, but no longer than ctx.
func (g *gate) pass(ctx context.Context) {
	g.mu.Lock()
	shut := g.shut
	if shut != nil {
		g.waiting++
	}
	g.mu.Unlock()
	if shut != nil {
		select {
		case <-shut:
		case <-ctx.Done():
		}
	}
}

// close shuts the gate until open is called.
func (g *gate) close() (open func()) {
	shut := make(chan struct{})
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shut, g.waiting = shut, 0
	return func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.shut = nil
		close(shut)
	}
}

// wait waits until so many are at the gate.
func (g *gate) wait(t *testing.T, want int) {
	t.Helper()
	gatewaytest.Eventually(t, func() error {
		g.mu.Lock()
		defer g.mu.Unlock()
		if g.waiting < want {
			return fmt.Errorf("%d requests wait for their answer, want %d", g.waiting, want)
		}
		return nil
	})
}

// habit is which ids callers choose and which the external system returns.
type habit struct {
	name   string
	choose func(number int64, m *pb.ProtoMessage)
	reply  func(request) amqp.Publishing
}

// anyHabit is each of them in turn.
var anyHabit = habit{
	name: "any habit",
	choose: func(number int64, m *pb.ProtoMessage) {
		if number%2 == 0 { // The others get ids that the gateway makes.
			m.MessageId, m.CorrelationId = fmt.Sprintf("m-%d", number), fmt.Sprintf("c-%d", number)
		}
	},
	reply: func(r request) amqp.Publishing {
		if rand.IntN(2) == 0 {
			return amqp.Publishing{CorrelationId: r.CorrelationId}
		}
		return amqp.Publishing{CorrelationId: r.MessageId}
	},
}

// startLoad starts gateways that reach the broker by the network.
func startLoad(t *testing.T, vhost *rabbittest.VHost, mode string) (*load, *proxy.Proxy) {
	t.Helper()
	l := &load{mode: mode, habit: anyHabit}
	newPartner(t, vhost, "OUT", sharedQueue)
	respond(t, vhost, l.answer)
	config, network := through(t, vhost, syncProvider(vhost, mode, loadWait))
	for i := range loadInstances {
		l.gateways = append(l.gateways, gatewaytest.Start(t, strings.Replace(config, "gateway-1", fmt.Sprintf("gateway-%d", i), 1)))
		l.clients = append(l.clients, pb.NewMessageSyncChannelClient(dial(t, l.gateways[i])))
	}
	l.waitReady(t, 200)
	return l, network
}

// answer answers a request by any habit, after a moment or when its caller is gone.
func (l *load) answer(ctx context.Context, r request) {
	l.seen.Store(string(r.Body), true)
	l.gate.pass(ctx)
	pause := time.Duration(rand.Int64N(int64(20 * time.Millisecond)))
	if r.Headers["late"] != nil {
		pause = loadWait + loadWait/4
	}
	select {
	case <-time.After(pause):
	case <-ctx.Done():
		return
	}
	reply := l.habit.reply(r)
	reply.Body = append([]byte("reply to "), r.Body...)
	if r.reply(reply) == nil {
		l.sent.Add(1)
	}
}

// tally counts how calls ended.
type tally struct {
	// replied calls have their own reply, slow ones 608 without a reason.
	replied, late, slow, failed atomic.Int64
	// lost calls are those of an instance that was killed, refused ones of one that stops.
	lost, refused atomic.Int64
}

func (n *tally) String() string {
	return fmt.Sprintf("%d replies, %d times 608 for late ones, %d times 608 else, %d times 603, %d calls lost with their gateway, %d refused",
		n.replied.Load(), n.late.Load(), n.slow.Load(), n.failed.Load(), n.lost.Load(), n.refused.Load())
}

// run lets all callers call while more says so, given the number of the call. What
// is neither an own reply nor a code of the gateway fails the test, but for the
// calls through the instance mayBeLost; none is -1.
func (l *load) run(t *testing.T, more func(i int) bool, mayBeLost int) *tally {
	t.Helper()
	n, number := &tally{}, atomic.Int64{}
	var callers sync.WaitGroup
	for range loadCallers {
		callers.Go(func() {
			for i := int(number.Add(1) - 1); more(i); i = int(number.Add(1) - 1) {
				l.call(t, n, i%len(l.clients), mayBeLost)
			}
		})
	}
	callers.Wait()
	return n
}

// call makes one call through an instance and counts how it ended.
func (l *load) call(t *testing.T, n *tally, instance, mayBeLost int) {
	number := l.number.Add(1)
	m := &pb.ProtoMessage{Body: fmt.Sprintf("request %d", number)}
	l.habit.choose(number, m)
	late := rand.Float64() < lateShare
	if late {
		m.UserHeaders = map[string]string{"late": "true"}
	}
	ctx, cancel := context.WithTimeout(context.Background(), gatewaytest.Patience)
	defer cancel()
	reply, err := l.clients[instance].ProcessMessage(ctx, m)
	switch code := codeOf(err); {
	case err == nil && reply.GetBody() == "reply to "+m.GetBody(): // by a gateway that stood still, even a late one
		n.replied.Add(1)
	case err == nil:
		t.Errorf("%s, late = %t: reply to %q is %q", l.mode, late, m.GetBody(), reply.GetBody())
	case code == "608" && late:
		n.late.Add(1)
	case code == "608":
		n.slow.Add(1)
	case code == "603":
		n.failed.Add(1)
	case instance == mayBeLost && status.Code(err) == codes.Unavailable:
		n.lost.Add(1)
	default:
		t.Errorf("%s: call %d through instance %d failed with %v (code %q), want 603 or 608", l.mode, number, instance, err, code)
	}
}

// everybodyIsAnswered holds that replies and callers match one to one, and that
// each reply that has no caller is counted as late.
func (l *load) everybodyIsAnswered(t *testing.T, requests int) {
	t.Helper()
	start := time.Now()
	n := l.run(t, func(i int) bool { return i < requests }, -1)
	t.Logf("%s, %d requests in %v: %v", l.mode, requests, time.Since(start).Round(time.Millisecond), n)
	l.wantEachAnswered(t, n, requests)
	gatewaytest.Eventually(t, func() error {
		sent, c := l.sent.Load(), l.counts(t)
		switch {
		case sent < n.replied.Load()+n.late.Load():
			return fmt.Errorf("%d replies are sent", sent)
		case c.matched != n.replied.Load():
			return fmt.Errorf("%v, want as many matched as %v", c, n)
		case c.late+c.unclaimed < sent-c.matched:
			return fmt.Errorf("%v, want the %d late that were sent and have no caller", c, sent-c.matched)
		}
		return nil
	})
	// A reply that is shown to all instances may be put aside before one that is busy claims it.
	if c := l.counts(t); c.asked == 0 && (c.unclaimed > 0 || c.late != l.sent.Load()-c.matched) {
		t.Errorf("%s: %v of %d, want each once, and none unclaimed", l.mode, c, l.sent.Load())
	}
	l.nobodyWaits(t)
}

// wantEachAnswered holds that calls ended with a reply or 608, most of them with a reply.
// Which reply came too late for its caller is told by the counts of the gateways.
func (l *load) wantEachAnswered(t *testing.T, n *tally, requests int) {
	t.Helper()
	replied, late, slow := n.replied.Load(), n.late.Load(), n.slow.Load()
	if replied+late+slow != int64(requests) || late == 0 || replied < int64(requests)/2 {
		t.Errorf("%s, %s: %v, want a reply or 608 for each of %d, and a reply for most", l.mode, l.habit.name, n, requests)
	}
}

// replyCounts are what all instances counted.
type replyCounts struct{ matched, late, unclaimed, handedOver, asked int64 }

func (l *load) counts(t *testing.T) replyCounts {
	t.Helper()
	sum := map[string]float64{}
	for _, g := range l.gateways {
		for series, value := range g.Metrics(t) {
			sum[series] += value
		}
	}
	count := func(result string) int64 { return int64(sum[fmt.Sprintf("gateway_replies_total{result=%q}", result)]) }
	return replyCounts{count("matched"), count("late"), count("unclaimed"), count("handed_over"), count("asked")}
}

func (c replyCounts) minus(b replyCounts) replyCounts {
	return replyCounts{c.matched - b.matched, c.late - b.late, c.unclaimed - b.unclaimed, c.handedOver - b.handedOver, c.asked - b.asked}
}

func (c replyCounts) String() string {
	return fmt.Sprintf("replies: %d matched, %d late, %d unclaimed; on their way %d handed over, %d asked for", c.matched, c.late, c.unclaimed, c.handedOver, c.asked)
}

func (l *load) nobodyWaits(t *testing.T) {
	t.Helper()
	for _, g := range l.gateways {
		if !g.Ended() {
			g.WaitMetric(t, "gateway_requests_waiting", 0)
		}
	}
}

// brokerIsAway holds that calls end by a code of the gateway while the broker can't be
// reached, and get replies once it is back.
func (l *load) brokerIsAway(t *testing.T, network *proxy.Proxy) {
	t.Helper()
	stop := make(chan struct{})
	ended := l.runUntil(t, stop)
	network.Refuse()
	network.Reset()
	l.waitReady(t, 503)
	close(stop)
	n := <-ended // Each call ends by itself, although the broker is not there.
	t.Logf("%s, broker away: %v", l.mode, n)
	if n.failed.Load()+n.slow.Load() == 0 {
		t.Errorf("%s, broker away: %v, want calls that failed with 603 or 608", l.mode, n)
	}
	l.nobodyWaits(t)
	network.Heal()
	l.waitReady(t, 200)
	n = l.run(t, func(i int) bool { return i < 5*loadCallers }, -1)
	t.Logf("%s, broker back: %v", l.mode, n)
	if n.failed.Load() > 0 || n.replied.Load() == 0 {
		t.Errorf("%s, broker back: %v, want replies", l.mode, n)
	}
}

// runUntil lets all callers call in the background until stop is closed. It
// returns once they are at it.
func (l *load) runUntil(t *testing.T, stop <-chan struct{}) <-chan *tally {
	t.Helper()
	before := l.number.Load()
	ended := make(chan *tally, 1) // A test that failed does not wait for it.
	go func() {
		ended <- l.run(t, func(int) bool {
			select {
			case <-stop:
				return false
			default:
				return true
			}
		}, -1)
	}()
	gatewaytest.Eventually(t, func() error {
		if got := l.number.Load() - before; got < 5*loadCallers {
			return fmt.Errorf("%d calls were made", got)
		}
		return nil
	})
	return ended
}

func (l *load) waitReady(t *testing.T, status int) {
	t.Helper()
	for _, g := range l.gateways {
		g.WaitReady(t, status)
	}
}

// instanceIsKilled holds that the callers of the other instances notice nothing.
func (l *load) instanceIsKilled(t *testing.T, requests int) {
	t.Helper()
	const victim = loadInstances - 1
	n := l.run(t, func(i int) bool {
		if i == requests/3 {
			l.gateways[victim].Kill()
		}
		return i < requests
	}, victim)
	t.Logf("%s, instance killed: %v", l.mode, n)
	if n.failed.Load() > 0 || n.lost.Load() == 0 || n.replied.Load() < int64(requests)/3 {
		t.Errorf("%s, instance killed: %v, want only its own callers to notice", l.mode, n)
	}
	l.nobodyWaits(t)
}
