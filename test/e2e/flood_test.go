package e2e

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"google.golang.org/grpc/metadata"

	pb "mqgateway/api/proto/gateway"
	"mqgateway/test/gatewaytest"
	"mqgateway/test/rabbittest"
)

// flood sends messages both ways over three brokers, and knows which were accepted.
type flood struct {
	brokers  *trio
	rate     int
	provider *gatewaytest.Gateway
	client   pb.MessageAsyncChannelClient
	service  *gatewaytest.Service
	feeders  [3]*feeder
	end      context.CancelFunc
	running  sync.WaitGroup
	start    time.Time
	took     time.Duration

	mu      sync.Mutex // guards calls
	calls   []call
	outages []outage
}

// call is one call of the provider gateway.
type call struct {
	id   string
	at   time.Time
	took time.Duration
	err  error
}

// outage is the time from killing a broker until it is back.
type outage struct {
	broker   int
	from, to time.Time
	// shares are what the brokers were given meanwhile.
	shares [3]float64
}

func startFlood(t *testing.T, b *trio, kind string, rate int) *flood {
	t.Helper()
	f := &flood{brokers: b, rate: rate, service: gatewaytest.Serve(t, ""), start: time.Now()}
	consumer := gatewaytest.Start(t, b.consumer(kind, f.service))
	f.provider = gatewaytest.Start(t, b.provider(kind))
	f.client = client(t, f.provider)
	for i := range b.vhosts {
		consumer.WaitMetric(t, ofManager("gateway_queue_subscribed", i, `,queue="IN"`), 1)
		f.provider.WaitMetric(t, ofManager("gateway_manager_up", i, ""), 1)
	}
	ctx, cancel := context.WithCancel(context.Background())
	f.end, f.start = cancel, time.Now()
	for i, v := range b.vhosts {
		f.feeders[i] = &feeder{vhost: v, accepted: map[string]bool{}}
		f.running.Go(func() { f.feeders[i].stayConnected(ctx) })
	}
	f.running.Go(func() { every(ctx, rate, f.call) })
	f.running.Go(func() { every(ctx, rate, f.feed) })
	t.Cleanup(f.stop)
	return f
}

// stop ends the traffic and waits for what is under way.
func (f *flood) stop() {
	if f.took == 0 {
		f.took = time.Since(f.start)
	}
	f.end()
	f.running.Wait()
}

// every starts do at a rate until ctx ends, each in a goroutine of its own, and waits
// for all of them. It makes up for times when it was late.
func every(ctx context.Context, rate int, do func(i int)) {
	var under sync.WaitGroup
	defer under.Wait()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	start, done := time.Now(), 0
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		for due := int(time.Since(start).Seconds() * float64(rate)); done < due; done++ {
			i := done
			under.Go(func() { do(i) })
		}
	}
}

// call sends a message by the gateway.
func (f *flood) call(i int) {
	ctx, cancel := context.WithTimeout(context.Background(), gatewaytest.Patience)
	defer cancel()
	c := call{id: fmt.Sprintf("out-%d", i), at: time.Now()}
	_, c.err = f.client.ProcessMessage(ctx, &pb.ProtoMessage{MessageId: c.id, Body: "<Order/>"})
	c.took = time.Since(c.at)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, c)
}

// feed puts a message on the queue of a broker that is there.
func (f *flood) feed(i int) {
	for j := range f.feeders {
		if f.feeders[(i+j)%3].put(fmt.Sprintf("in-%d", i)) {
			return
		}
	}
}

// feeder is a partner that puts messages on queue IN of a broker that may be away.
type feeder struct {
	vhost   *rabbittest.VHost
	channel atomic.Pointer[amqp.Channel]

	mu       sync.Mutex // guards accepted
	accepted map[string]bool
}

// stayConnected connects again whenever the broker is back.
func (p *feeder) stayConnected(ctx context.Context) {
	for ctx.Err() == nil {
		p.connect(ctx)
		select {
		case <-time.After(200 * time.Millisecond):
		case <-ctx.Done():
		}
	}
}

// connect keeps a channel until it is lost.
func (p *feeder) connect(ctx context.Context) {
	conn, err := amqp.DialConfig(p.vhost.URI(), amqp.Config{Dial: amqp.DefaultDial(5 * time.Second)})
	if err != nil {
		return
	}
	defer func() { _ = conn.CloseDeadline(time.Now().Add(5 * time.Second)) }()
	ch, err := conn.Channel()
	if err != nil || ch.Confirm(false) != nil {
		return
	}
	closes := conn.NotifyClose(make(chan *amqp.Error, 1))
	p.channel.Store(ch)
	defer p.channel.Store(nil)
	select {
	case err := <-closes:
		_ = err // why is of no matter
	case <-ctx.Done():
		time.Sleep(time.Second) // for the last confirms
	}
}

// put tells whether the broker has the message.
func (p *feeder) put(id string) bool {
	ch := p.channel.Load()
	if ch == nil {
		return false
	}
	confirm, err := ch.PublishWithDeferredConfirm("", "IN", true, false, amqp.Publishing{
		MessageId: id, DeliveryMode: amqp.Persistent, Body: []byte("<Order/>"),
	})
	if err != nil || !confirm.Wait() {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.accepted[id] = true
	return true
}

// kill kills a broker, boots it again, and notes how the others did meanwhile.
func (f *flood) kill(t *testing.T, broker int) {
	t.Helper()
	node, up := f.brokers.vhosts[broker].Node, ofManager("gateway_manager_up", broker, "")
	node.SaveQueues(t)
	node.Kill(t)
	o := outage{broker: broker, from: time.Now()}
	f.provider.WaitMetric(t, up, 0)
	before := given(t, f.provider)
	node.Start(t)
	after := given(t, f.provider)
	for i := range after {
		o.shares[i] = after[i] - before[i]
	}
	f.provider.WaitMetric(t, up, 1)
	o.to = time.Now()
	f.outages = append(f.outages, o)
}

// check holds that nothing was lost, and little came twice.
func (f *flood) check(t *testing.T) {
	t.Helper()
	unknown := 0.0
	for i := range f.brokers.vhosts {
		unknown += f.provider.Metric(t, ofManager("gateway_publishes_total", i, `,result="unknown"`))
	}
	f.checkOut(t, int(unknown))
	f.checkIn(t)
	f.checkShares(t)
	f.reportTimes(t)
}

// checkOut holds what microservices sent against what lies in the queues. What came
// twice are messages whose confirm was lost.
func (f *flood) checkOut(t *testing.T, unknown int) {
	t.Helper()
	found := map[string]int{}
	for _, v := range f.brokers.vhosts {
		for _, id := range drain(t, v, "OUT") {
			found[id]++
		}
	}
	lost, twice, failed := 0, 0, 0
	for _, c := range f.calls {
		switch n := found[c.id]; {
		case c.err != nil:
			failed++
			t.Logf("call %s failed: %v", c.id, c.err)
		case n == 0:
			lost++
		default:
			twice += n - 1
		}
	}
	t.Logf("to the brokers: %d calls (%.0f a second), %d lost, %d failed, %d twice, %d confirms lost in %d kills",
		len(f.calls), float64(len(f.calls))/f.took.Seconds(), lost, failed, twice, unknown, len(f.outages))
	if lost > 0 || failed > 0 || twice > unknown {
		t.Errorf("%d lost, %d failed, %d twice; want none, none, and at most the %d without a confirm", lost, failed, twice, unknown)
	}
}

// checkIn holds what the brokers accepted against what the service got.
func (f *flood) checkIn(t *testing.T) {
	t.Helper()
	accepted := 0
	for _, p := range f.feeders {
		(&partner{t: t, vhost: p.vhost}).waitEmpty("IN")
		accepted += len(p.accepted)
	}
	got := map[string]int{}
	for _, c := range f.service.Calls() {
		got[c.Message.GetMessageId()]++
	}
	lost, twice := 0, 0
	for _, p := range f.feeders {
		for id := range p.accepted {
			if got[id] == 0 {
				lost++
			}
		}
	}
	for _, n := range got {
		twice += n - 1
	}
	const prefetch = 128
	t.Logf("from the brokers: %d messages (%.0f a second), %d lost, %d twice", accepted, float64(accepted)/f.took.Seconds(), lost, twice)
	if most := prefetch * len(f.outages); lost > 0 || twice > most {
		t.Errorf("%d lost and %d twice, want none, and at most the %d that were in hand", lost, twice, most)
	}
}

// checkShares holds that the brokers that were there shared what was sent. With Smart
// they do not: the one that returned last is still being ramped up.
func (f *flood) checkShares(t *testing.T) {
	t.Helper()
	for _, o := range f.outages {
		one, other := o.shares[(o.broker+1)%3], o.shares[(o.broker+2)%3]
		t.Logf("QM%d away for %v: the others were given %v and %v", o.broker+1, o.to.Sub(o.from).Round(time.Millisecond), one, other)
		if *brokersType == "Common" && min(one, other) < 0.9*max(one, other) {
			t.Errorf("the healthy brokers were given %v and %v, want shares within a tenth", one, other)
		}
	}
}

// reportTimes logs how long calls took while all brokers were there, before the first
// kill and after it.
func (f *flood) reportTimes(t *testing.T) {
	t.Helper()
	var before, later, during []time.Duration
	for _, c := range f.calls {
		switch {
		case c.at.Before(f.outages[0].from):
			before = append(before, c.took)
		case slices.ContainsFunc(f.outages, func(o outage) bool { return c.at.After(o.from.Add(-time.Second)) && c.at.Before(o.to.Add(time.Second)) }):
			during = append(during, c.took)
		default:
			later = append(later, c.took)
		}
	}
	t.Logf("calls before the first kill: %s; between outages: %s; during them: %s", times(before), times(later), times(during))
}

func times(all []time.Duration) string {
	if len(all) == 0 {
		return "none"
	}
	slices.Sort(all)
	at := func(share float64) time.Duration {
		return all[int(share*float64(len(all)-1))].Round(100 * time.Microsecond)
	}
	return fmt.Sprintf("%d, p50 %v, p99 %v, longest %v", len(all), at(0.5), at(0.99), at(1))
}

// drain takes all messages of a queue and returns their ids.
func drain(t *testing.T, v *rabbittest.VHost, queue string) []string {
	t.Helper()
	n := v.Messages(t, queue)
	deliveries, err := v.Channel(t).Consume(queue, "", true, false, false, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	ids := make([]string, n)
	for i := range ids {
		d := <-deliveries
		ids[i] = d.MessageId
	}
	return ids
}

// override is the context of a call that names its destination.
func override(t *testing.T, queue, manager string) context.Context {
	t.Helper()
	return metadata.AppendToOutgoingContext(t.Context(),
		"x-synapse-override-destination-queue", queue, "x-synapse-override-destination-manager", manager)
}
