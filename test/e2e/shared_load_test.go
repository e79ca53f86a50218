package e2e

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "mqgateway/api/proto/gateway"
	"mqgateway/test/gatewaytest"
	"mqgateway/test/rabbittest"
)

// sharedInstances of the gateway read one reply queue.
const sharedInstances = 5

// calledByID has callers choose message ids, which the external system returns; nothing
// in a reply tells its instance then, but for the selector.
var calledByID = habit{
	name:   "message id of the caller",
	choose: func(number int64, m *pb.ProtoMessage) { m.MessageId = fmt.Sprintf("m-%d", number) },
	reply: func(r request) amqp.Publishing {
		return amqp.Publishing{CorrelationId: r.MessageId, Headers: selectorOf(r)}
	},
}

// calledByTag has the gateway make the ids.
var calledByTag = habit{
	name:   "correlation id of the gateway",
	choose: func(int64, *pb.ProtoMessage) {},
	reply: func(r request) amqp.Publishing {
		return amqp.Publishing{CorrelationId: r.CorrelationId, Headers: selectorOf(r)}
	},
}

func selectorOf(r request) amqp.Table {
	if name, ok := r.Headers["GWResponseSelector"]; ok {
		return amqp.Table{"GWResponseSelector": name}
	}
	return nil
}

// fleet is a load on instances that come and go.
type fleet struct {
	load
	vhost *rabbittest.VHost
	wait  time.Duration

	mu      sync.Mutex // guards the rest, and what load has of instances
	started int
	away    map[int]bool // instances that take no more calls
}

func startFleet(t *testing.T, vhost *rabbittest.VHost, mode string, wait time.Duration) *fleet {
	t.Helper()
	f := &fleet{load: load{mode: mode, habit: calledByTag}, vhost: vhost, wait: wait, away: map[int]bool{}}
	newPartner(t, vhost, "OUT", sharedQueue)
	respond(t, vhost, f.answer)
	for range sharedInstances {
		g := f.start(t)
		f.gateways = append(f.gateways, g)
		f.clients = append(f.clients, pb.NewMessageSyncChannelClient(dial(t, g)))
	}
	f.waitReady(t, 200)
	return f
}

// start starts an instance with a name as a pod of a Deployment has it.
func (f *fleet) start(t *testing.T) *gatewaytest.Gateway {
	t.Helper()
	f.started++
	name := fmt.Sprintf("gateway-5dddcc6455-pod%02d", f.started)
	return gatewaytest.Start(t, strings.Replace(syncProvider(f.vhost, f.mode, f.wait), "gateway-1", name, 1))
}

func TestEachCallerGetsItsOwnReplyByASharedQueue(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"SHARED_SINGLE", "SHARED", "SHARED_SELECTOR"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			f := startFleet(t, rabbittest.Shared(t).VHost(t), mode, loadWait)
			for _, f.habit = range []habit{calledByTag, calledByID} {
				f.everybodyIsAnsweredOnce(t, *loadRequests)
			}
			newPartner(t, f.vhost).waitEmpty(sharedQueue)
		})
	}
}

// everybodyIsAnsweredOnce holds that every caller has its own reply or 608, that each
// reply is accounted for, and makes one hop at most where it names its instance.
func (f *fleet) everybodyIsAnsweredOnce(t *testing.T, requests int) {
	t.Helper()
	before := f.counts(t)
	sentBefore, start := f.sent.Load(), time.Now()
	n := f.run(t, func(i int) bool { return i < requests }, -1)
	took := time.Since(start)
	f.wantEachAnswered(t, n, requests)
	var c replyCounts
	gatewaytest.Eventually(t, func() error {
		sent := f.sent.Load() - sentBefore
		c = f.counts(t).minus(before)
		switch {
		case sent < int64(requests):
			return fmt.Errorf("%d of %d replies are sent", sent, requests)
		case c.matched != n.replied.Load():
			return fmt.Errorf("%v, want as many matched as %v", c, n)
		case c.late+c.unclaimed < sent-c.matched:
			return fmt.Errorf("%v of %d replies", c, sent)
		}
		return nil
	})
	t.Logf("%s, %s: %d requests in %v: %v; %v", f.mode, f.habit.name, requests, took.Round(time.Millisecond), n, c)
	named := f.mode == "SHARED_SELECTOR" || f.habit.name == calledByTag.name
	switch {
	case named && c.late != int64(requests)-c.matched:
		t.Errorf("%s: %v, want each of %d replies once", f.habit.name, c, requests)
	case named && (c.asked > 0 || c.unclaimed > 0 || c.handedOver == 0 || c.handedOver > int64(requests)):
		t.Errorf("%s: %v, want one hop at most for each reply, since it names its instance", f.habit.name, c)
	case !named && (c.handedOver > 0 || c.asked == 0):
		t.Errorf("%s: %v, want instances to ask, since nothing names one", f.habit.name, c)
	}
	f.nobodyWaits(t)
}

func TestRepliesOfOthersOutliveAnInstance(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"SHARED_SINGLE", "SHARED_SELECTOR"} {
		for _, h := range []habit{calledByTag, calledByID} {
			t.Run(mode+" by "+h.name, func(t *testing.T) {
				t.Parallel()
				f := startFleet(t, rabbittest.Shared(t).VHost(t), mode, gatewaytest.Patience)
				f.habit = h
				f.oneIsKilled(t, *loadRequests)
				f.allAreReplaced(t)
			})
		}
	}
}

// oneIsKilled holds that calls through other instances get their replies while one is
// killed, which had taken some of them.
func (f *fleet) oneIsKilled(t *testing.T, requests int) {
	t.Helper()
	const victim = sharedInstances - 1
	n := f.calls(t, func(i int) bool {
		if i == requests/2 {
			open := f.gate.close()
			f.gate.wait(t, loadCallers-1) // all callers but this one
			f.leave(victim)
			f.gateways[victim].Kill()
			open()
		}
		return i < requests
	})
	t.Logf("%s, %s, instance killed: %v", f.mode, f.habit.name, n)
	if n.lost.Load() == 0 {
		t.Error("no call was in hand of the instance that was killed")
	}
	f.back(t, victim)
}

// allAreReplaced holds that no call is lost while each instance is stopped in order,
// and another one takes its place.
func (f *fleet) allAreReplaced(t *testing.T) {
	t.Helper()
	replaced, calls := make(chan struct{}), make(chan *tally, 1)
	go func() {
		calls <- f.calls(t, func(int) bool {
			select {
			case <-replaced:
				return false
			default:
				return true
			}
		})
	}()
	for i := range sharedInstances {
		f.leave(i)
		f.gateways[i].Stop(t)
		f.back(t, i)
	}
	close(replaced)
	n := <-calls
	t.Logf("%s, %s, all replaced: %v", f.mode, f.habit.name, n)
	if n.lost.Load() > 0 {
		t.Errorf("all replaced: %v, want no call lost", n)
	}
	f.nobodyWaits(t)
}

// leave has callers use the other instances.
func (f *fleet) leave(instance int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.away[instance] = true
}

// back puts a new instance in the place of one that is gone.
func (f *fleet) back(t *testing.T, instance int) {
	t.Helper()
	g := f.start(t)
	g.WaitReady(t, 200)
	client := pb.NewMessageSyncChannelClient(dial(t, g))
	f.mu.Lock()
	defer f.mu.Unlock()
	f.gateways[instance], f.clients[instance] = g, client
	delete(f.away, instance)
}

// through is an instance that takes calls.
func (f *fleet) through(i int) (instance int, client pb.MessageSyncChannelClient) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for f.away[i%len(f.clients)] {
		i++
	}
	return i % len(f.clients), f.clients[i%len(f.clients)]
}

// isAway tells that an instance went since a call was made through it.
func (f *fleet) isAway(instance int, client pb.MessageSyncChannelClient) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.away[instance] || f.clients[instance] != client
}

// calls lets callers call while more says so. Each has to get its own reply; only
// through an instance that went may a call be refused, and is made again, or lost.
func (f *fleet) calls(t *testing.T, more func(i int) bool) *tally {
	t.Helper()
	n, number := &tally{}, atomic.Int64{}
	var callers sync.WaitGroup
	for range loadCallers {
		callers.Go(func() {
			for i := int(number.Add(1) - 1); more(i); i = int(number.Add(1) - 1) {
				f.callOnce(t, n, i)
			}
		})
	}
	callers.Wait()
	return n
}

func (f *fleet) callOnce(t *testing.T, n *tally, i int) {
	instance, client := f.through(i)
	number := f.number.Add(1)
	m := &pb.ProtoMessage{Body: fmt.Sprintf("request %d", number)}
	f.habit.choose(number, m)
	ctx, cancel := context.WithTimeout(context.Background(), gatewaytest.Patience)
	defer cancel()
	reply, err := client.ProcessMessage(ctx, m)
	switch {
	case err == nil && reply.GetBody() == "reply to "+m.GetBody():
		n.replied.Add(1)
	case err != nil && codeOf(err) == "607" && f.isAway(instance, client):
		n.refused.Add(1) // Nothing was sent.
	case status.Code(err) == codes.Unavailable && codeOf(err) == "" && f.isAway(instance, client):
		if _, sent := f.seen.Load(m.GetBody()); sent {
			n.lost.Add(1)
		} else {
			n.refused.Add(1)
		}
	default:
		t.Errorf("call %d through instance %d ended with %v, %v (code %q), want its reply", number, instance, reply, err, codeOf(err))
	}
}

func TestRepliesOfAnotherSystemArePutAside(t *testing.T) {
	t.Parallel()
	const foreign = 600 // more than an instance holds
	f := startFleet(t, rabbittest.Shared(t).VHost(t), "SHARED_SINGLE", gatewaytest.Patience)
	f.habit = calledByID
	other := newPartner(t, f.vhost)
	for i := range foreign {
		other.put(sharedQueue, amqp.Publishing{CorrelationId: fmt.Sprintf("theirs %d", i), Body: []byte("theirs"), Headers: amqp.Table{"n": int32(i)}})
	}
	if n := f.calls(t, func(i int) bool { return i < 500 }); n.replied.Load() != 500 {
		t.Errorf("%v, want 500 replies beside those of another system", n)
	}
	seen := map[int32]bool{}
	gatewaytest.Eventually(t, func() error {
		if n := f.vhost.Messages(t, sharedQueue+".UNCLAIMED"); n < foreign {
			return fmt.Errorf("%d replies are put aside", n)
		}
		return nil
	})
	aside, err := other.channel.Consume(sharedQueue+".UNCLAIMED", "", true, false, false, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	for len(seen) < foreign {
		d := <-aside
		if strings.HasPrefix(d.CorrelationId, "m-") {
			continue // A copy of a reply whose instance was slow to claim it.
		}
		n, _ := d.Headers["n"].(int32)
		if d.CorrelationId != fmt.Sprintf("theirs %d", n) || string(d.Body) != "theirs" || seen[n] {
			t.Fatalf("put aside: %+v, want each reply of the other system once, as it was sent", d)
		}
		seen[n] = true
	}
	if c := f.counts(t); c.unclaimed < foreign || c.late != 0 {
		t.Errorf("%v, want %d unclaimed", c, foreign)
	}
	other.waitEmpty(sharedQueue)
}
