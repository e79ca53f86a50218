package faults

import (
	"math/rand/v2"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
)

// scenarios are the long ones.
var scenarios = []scenario{
	{"kills and black holes", killsAndBlackHoles, true},
	{"other faults", otherFaults, true},
	{"no faults", noFaults, true},
	{"poison", poisonAmongGood, false},
	{"forced reconnects", forcedReconnects, false},
	{"rolling restarts", rollingRestarts, false},
	{"one destination down", oneDestinationDown, true},
	{"all destinations refuse", allDestinationsRefuse, true},
	{"long outage", longOutage, false},
}

// sized is a number of messages at the chosen scale.
func sized(n int) int { return max(int(float64(n)**scale), 5) }

// lasting is a time at the chosen scale.
func lasting(d time.Duration) time.Duration {
	return max(time.Duration(float64(d)**scale), 5*time.Second)
}

// heartbeat is that of gateways which are to notice dead connections at their usual
// speed.
const heartbeat = 10 * time.Second

// keepInHand lets everybody take some time, so that faults find messages in work.
func (w *world) keepInHand() {
	w.service.takes(0, 50*time.Millisecond)
	w.replyPause = [2]time.Duration{0, 50 * time.Millisecond}
}

func killsAndBlackHoles(t *testing.T, b broker) []row {
	w := newWorld(t, b, plan{messages: sized(200_000), rate: float64(*rate), shares: all, heartbeat: heartbeat})
	w.keepInHand()
	w.send()
	list := some(30, killGateway)
	list = append(list, some(7, restartBroker)...)
	list = append(list, some(3, killBroker)...)
	list = append(list, some(20, resetNetwork)...)
	list = append(list, some(3, blackHole(30*time.Second))...)
	list = append(list, some(2, blackHoleToGateway(30*time.Second))...)
	w.sufferAll(t, list)
	return w.finish()
}

func otherFaults(t *testing.T, b broker) []row {
	w := newWorld(t, b, plan{messages: sized(100_000), rate: float64(*rate), shares: all, heartbeat: heartbeat})
	w.keepInHand()
	w.send()
	var list []fault
	for _, f := range []fault{
		restartGateway, freezeGateway, freezeBroker, alarmBroker, killService, freezeService,
		refuseNetwork, slowNetwork, holdNetwork, remakeReplies, remakeIn,
	} {
		list = append(list, some(5, f)...)
	}
	w.sufferAll(t, list)
	return w.finish()
}

func noFaults(t *testing.T, b broker) []row {
	w := newWorld(t, b, plan{
		messages: sized(500_000), rate: float64(*rate), shares: all, heartbeat: heartbeat, noDuplicates: true,
	})
	w.send()
	return w.finish()
}

// forcedReconnects closes the connections of a gateway again and again, each time with
// a full hand of messages whose acknowledgements come too late for their connection.
func forcedReconnects(t *testing.T, b broker) []row {
	const inHand = 200
	w := newWorld(t, b, plan{
		rate: float64(*rate), shares: map[string]float64{inAsync: 0.7, inSync: 0.3}, heartbeat: heartbeat,
		adapt: func(config string) string {
			return strings.Replace(config, "systemType: sc", "systemType: sc\n  consumerParams: {concurrency: 200, prefetch: 200}", 1)
		},
	})
	w.service.takes(100*time.Millisecond, 400*time.Millisecond)
	before := countClosed(t, w)
	w.send()
	for range sized(1000) {
		if !w.await("messages in hand", func() bool { return w.service.callsInHand() >= inHand }) {
			break
		}
		w.rest(rand.N(600 * time.Millisecond))
		w.suffer(t, closeConnections, w.consumers[0])
	}
	rows := w.finish()
	if after := countClosed(t, w); after != before {
		t.Errorf("channels and connections closed for a mistake of a client: %d, want none", after-before)
	}
	return rows
}

// countClosed counts the channels and connections that the broker closed because of a
// mistake, by its log and the gateways'. What is missing is no mistake: gateways look
// whether a dead letter queue is there.
func countClosed(t *testing.T, w *world) int {
	t.Helper()
	n := 0
	for line := range strings.Lines(w.rabbit.vhost.Node.Log(t)) {
		if mistake.MatchString(line) {
			n++
		}
	}
	for _, r := range w.replicas() {
		n += r.logged("Exception (406)")
	}
	return n
}

var mistake = regexp.MustCompile(`caused a (channel|connection) exception (precondition_failed|frame_error|syntax_error|unexpected_frame|command_invalid|internal_error|not_implemented)`)

// rollingRestarts stops replicas in order, one after the other, as a rollout does.
func rollingRestarts(t *testing.T, b broker) []row {
	const grace = 30 * time.Second
	w := newWorld(t, b, plan{
		rate: 400, shares: all, heartbeat: heartbeat, replicas: 3, workers: 400, noDuplicates: true,
		adapt: func(config string) string {
			return strings.Replace(config, "systemType: sc", "systemType: sc\n  consumerParams: {concurrency: 400}", 1)
		},
	})
	w.service.takes(100*time.Millisecond, 5*time.Second)
	w.replyPause = [2]time.Duration{100 * time.Millisecond, 5 * time.Second}
	w.send()
	for i := range sized(50) {
		r := w.replicas()[i%len(w.replicas())]
		end := w.faults.Begin(restartGateway.kind)
		if took := r.stop(t); took > grace {
			t.Errorf("stopping %s took %v, want at most its grace of %v", r.name, took, grace)
		}
		r.start(t)
		end()
		r.gateway.WaitReady(t, 200)
		w.tell("restarts")
	}
	return w.finish()
}

// longOutage takes the broker away for minutes, with dead letters around and messages
// that wait for their service.
func longOutage(t *testing.T, b broker) []row {
	w := newWorld(t, b, plan{
		rate: float64(*rate), shares: all, heartbeat: heartbeat, deadLetters: true, mostOpen: 10_000,
	})
	w.body = func(id string) string {
		switch _, number, _ := strings.Cut(id, "-"); {
		case !strings.HasPrefix(id, "in-"):
			return order(id)
		case strings.HasSuffix(number, "49"):
			return document("Refused", id)
		case strings.HasSuffix(number, "99"):
			return document("Down", id)
		default:
			return order(id)
		}
	}
	w.service.fail("Refused", codes.InvalidArgument)
	w.service.fail("Down", codes.Unavailable)
	w.send()
	w.rest(lasting(30 * time.Second))
	w.suffer(t, fault{kind: "broker down", do: func(t *testing.T, w *world, _ *replica) {
		w.rabbit.vhost.Node.Stop(t)
		w.rest(lasting(5 * time.Minute))
		w.rabbit.vhost.Node.Start(t)
	}}, w.consumers[0])
	w.rest(lasting(30 * time.Second))
	w.service.fail("Down", codes.OK)
	w.rest(lasting(30 * time.Second))
	return w.finish()
}

// destination is the name of one of ten services.
func destination(id string) string {
	_, number, _ := strings.Cut(id, "-")
	n, _ := strconv.Atoi(number)
	return "Service" + strconv.Itoa(n%10)
}
