package faults

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"mqgateway/test/faults/proxy"
)

// fault is something that goes wrong from outside, and is over when do returns.
type fault struct {
	kind string
	do   func(*testing.T, *world, *replica)
	// rabbit tells that it takes RabbitMQ.
	rabbit bool
}

// The faults.
var (
	killGateway = fault{kind: "gateway killed", do: func(t *testing.T, _ *world, r *replica) {
		r.gateway.Kill()
		r.start(t)
	}}
	restartGateway = fault{kind: "gateway restarted", do: func(t *testing.T, _ *world, r *replica) {
		r.stop(t)
		r.start(t)
	}}
	freezeGateway = fault{kind: "gateway frozen", do: func(_ *testing.T, w *world, r *replica) {
		r.gateway.Pause()
		w.rest(3 * w.plan.heartbeat)
		r.gateway.Resume()
	}}
	restartBroker = fault{rabbit: true, kind: "broker restarted", do: func(t *testing.T, w *world, _ *replica) {
		w.rabbit.vhost.Node.Stop(t)
		w.rabbit.vhost.Node.Start(t)
	}}
	killBroker = fault{rabbit: true, kind: "broker killed", do: func(t *testing.T, w *world, _ *replica) {
		w.rabbit.vhost.Node.Kill(t)
		w.rabbit.vhost.Node.Start(t)
	}}
	freezeBroker = fault{rabbit: true, kind: "broker frozen", do: func(t *testing.T, w *world, _ *replica) {
		w.rabbit.vhost.Node.Pause(t)
		w.rest(3 * w.plan.heartbeat)
		w.rabbit.vhost.Node.Resume(t)
	}}
	alarmBroker = fault{rabbit: true, kind: "memory alarm", do: func(t *testing.T, w *world, _ *replica) {
		w.rabbit.vhost.Node.SetMemoryAlarm(t, true)
		w.rest(2 * time.Second)
		w.rabbit.vhost.Node.SetMemoryAlarm(t, false)
	}}
	killService = fault{kind: "service killed", do: func(t *testing.T, w *world, _ *replica) {
		w.service.kill()
		w.rest(time.Second)
		w.service.start(t)
	}}
	freezeService = fault{kind: "service frozen", do: func(_ *testing.T, w *world, _ *replica) {
		w.service.freeze()
		w.rest(3 * time.Second)
		w.service.thaw()
	}}
	resetNetwork     = fault{kind: "reset", do: func(_ *testing.T, _ *world, r *replica) { r.network.Reset() }}
	refuseNetwork    = badNetwork("refused", func(n *proxy.Proxy) { n.Refuse(); n.Reset() })
	slowNetwork      = badNetwork("slow network", func(n *proxy.Proxy) { n.Slow(100*time.Millisecond, 200_000) })
	holdNetwork      = badNetwork("stalled network", func(n *proxy.Proxy) { n.Hold(proxy.Both) })
	remakeReplies    = remake("reply queue deleted", func(r *replica) string { return "REPLIES.DQ." + r.name })
	closeConnections = fault{rabbit: true, kind: "closed by the broker", do: func(t *testing.T, w *world, r *replica) {
		for _, purpose := range []string{"consume", "publish"} {
			w.rabbit.vhost.Node.CloseConnections(t, r.name+" "+purpose)
		}
	}}
)

func blackHole(length time.Duration) fault { return swallow("black hole", proxy.Both, length) }

func blackHoleToGateway(length time.Duration) fault {
	return swallow("black hole to the gateway", proxy.FromServer, length)
}

func badNetwork(kind string, begin func(*proxy.Proxy)) fault {
	return fault{kind: kind, do: func(_ *testing.T, w *world, r *replica) {
		begin(r.network)
		w.rest(3 * time.Second)
		r.network.Heal()
	}}
}

func swallow(kind string, d proxy.Direction, length time.Duration) fault {
	return fault{kind: kind, do: func(_ *testing.T, w *world, r *replica) {
		r.network.Swallow(d)
		w.rest(length)
		r.network.Heal()
	}}
}

// remake deletes a queue that the gateway makes again by itself.
func remake(kind string, queue func(*replica) string) fault {
	return fault{rabbit: true, kind: kind, do: func(t *testing.T, w *world, _ *replica) {
		for _, r := range w.providers {
			w.rabbit.remove(t, queue(r))
		}
	}}
}

// remakeIn deletes a queue that the gateway reads and makes it again, while it is empty:
// what an operator deletes is gone.
var remakeIn = fault{rabbit: true, kind: "queue made again", do: func(t *testing.T, w *world, _ *replica) {
	release := w.paces[inAsync].hold()
	defer release()
	w.rest(time.Second)
	if !w.await("an empty queue", func() bool { return w.books[inAsync].Open() == 0 && w.broker.holds(t, queueIn) == 0 }) {
		return
	}
	w.rabbit.remove(t, queueIn)
	w.rest(time.Second)
	w.rabbit.declare(t, queueIn)
}}

// rest lets a fault last.
func (w *world) rest(length time.Duration) { _ = wait(w.ctx, length) }

// suffer lets a fault happen to a gateway. The one with the broker inside has no network
// to it.
func (w *world) suffer(t *testing.T, f fault, r *replica) {
	t.Helper()
	if w.rabbit == nil && r.network.Connections() == 0 {
		r = w.providers[0]
	}
	end := w.faults.Begin(f.kind)
	f.do(t, w, r)
	end()
}

// some lists a fault n times at full size, at least once.
func some(n float64, f fault) []fault {
	list := make([]fault, max(int(n**scale), 1))
	for i := range list {
		list[i] = f
	}
	return list
}

// sufferAll spreads faults over the messages, as evenly as their lengths allow, in an order that is the same in
// each run, each at the next of the gateways; those that take RabbitMQ only there.
func (w *world) sufferAll(t *testing.T, faults []fault) {
	t.Helper()
	faults = slices.DeleteFunc(faults, func(f fault) bool { return f.rabbit && w.rabbit == nil })
	rand.New(rand.NewPCG(1, 2)).Shuffle(len(faults), func(i, j int) { faults[i], faults[j] = faults[j], faults[i] })
	replicas := w.replicas()
	for i, f := range faults {
		if !w.awaitSent((i + 1) * w.plan.messages / (len(faults) + 1)) {
			return
		}
		w.rest(rand.N(2 * time.Second))
		w.tell(fmt.Sprintf("fault %d of %d: %s", i+1, len(faults), f.kind))
		w.suffer(t, f, replicas[i%len(replicas)])
	}
}
