// Package mqtest is the conformance suite of the broker contract: a table of
// rules that every driver has to keep on its real broker.
//
// A driver's test tells how to reach the server ([Harness]) and what the product
// can do ([Features]), and calls [Run]. Rules that hold for one connection run
// in parallel, each in a harness of its own; rules that take the server down or
// starve it come after them, one at a time. That no goroutine is left behind at
// the very end is for goleak to say, in TestMain of the driver's package.
package mqtest

import (
	"testing"

	"mqgateway/internal/flow"
	"mqgateway/internal/mq"
)

// Harness is an empty place on a real server that belongs to one rule: a
// virtual host, an account, a server of its own. What it made ends by t.Cleanup
// of the test that it was made for.
type Harness interface {
	// Open makes a broker with connections of its own; it does not have to dial.
	// The suite closes it. Waits for confirms should be generous (30s): machines
	// that run tests are slow at times.
	Open(t testing.TB) mq.Broker
	// MakeQueue makes a durable queue as an operator would: where the product
	// allows that, in a way that the driver itself would never choose.
	MakeQueue(t testing.TB, name string)
	// DeleteQueue deletes a queue, with its messages.
	DeleteQueue(t testing.TB, name string)
	// Put sends a message with a body and headers of text as a program would that
	// knows nothing of the gateway.
	Put(t testing.TB, queue, body string, headers map[string]string)
	// Messages counts the messages of a queue, those delivered and not settled
	// among them; -1 is a queue that does not exist. All that was confirmed is
	// counted at once; what was settled may be counted a moment longer.
	Messages(t testing.TB, queue string) int
	// Break ends the connections of the brokers that Open made, by no will of
	// theirs. When it returns the server has done its part.
	Break(t testing.TB)
}

// Restarter is a harness whose server can be stopped. It is called while no
// other rule runs.
type Restarter interface {
	// Stop ends the server; its connections are lost.
	Stop(t testing.TB)
	// Start starts it again, at the same address and with its messages.
	Start(t testing.TB)
}

// Blocker is a harness whose server can be made short of a resource, so that it
// takes no messages. It is called while no other rule runs.
type Blocker interface {
	Block(t testing.TB, on bool)
}

// ExchangeMaker is a harness whose product has exchanges.
type ExchangeMaker interface {
	// MakeExchange makes an exchange that routes the key, and no other, to the
	// queue, which exists.
	MakeExchange(t testing.TB, exchange, key, queue string)
}

// DeadLetterer is a harness whose product can keep rejected messages.
type DeadLetterer interface {
	// MakeDeadLettered makes a queue whose rejected messages go to another one,
	// which exists.
	MakeDeadLettered(t testing.TB, queue, deadLetters string)
}

// CountedMaker is a harness whose product has queues that count deliveries.
type CountedMaker interface {
	MakeCounted(t testing.TB, queue string)
}

// PriorityMaker is a harness whose product delivers messages by priority.
type PriorityMaker interface {
	// MakePrioritized makes a queue that knows the priorities 0 to 9.
	MakePrioritized(t testing.TB, queue string)
}

// QueueExpirer is a harness whose product lets queues go that nobody reads.
type QueueExpirer interface {
	// QueueExists tells that a queue is there, which must not count as reading it.
	QueueExists(t testing.TB, name string) bool
}

// Features is what differs between products. Abilities that need something from
// the harness (exchanges, dead letters, …) are found in its type.
type Features struct {
	// Product names the broker in the output of the tests.
	Product string
	// UserID is a user id that a message may carry, where the server checks that
	// it is the user of the connection. Empty: any will do.
	UserID string
	// Received is what a header of the value v is received as, for products that
	// do not know all wire types. Nil: it is received as it was sent. It is not
	// asked about tables and arrays, only about what is in them.
	Received func(v any) any
	// Expiry tells that an expired message leaves its queue without being read.
	Expiry bool
}

// rule is one thing that every driver has to do.
type rule struct {
	name string
	// explain is the rule in plain words; it is printed when it is broken.
	explain string
	// needs tells whether the product can do what the rule is about; nil is yes.
	needs func(probe) bool
	check func(f *fixture)
}

// probe is where the abilities of a product are found.
type probe struct {
	harness  Harness
	features Features
	// broker is closed.
	broker mq.Broker
}

// able tells that the harness has an ability.
func able[Ability any](p probe) bool {
	_, ok := p.harness.(Ability)
	return ok
}

// does tells that the broker has an ability.
func does[Ability any](p probe) bool {
	_, ok := p.broker.(Ability)
	return ok
}

// Run checks all rules that the product can keep. newHarness is called for each
// of them, and once to see what the harness can do.
func Run(t *testing.T, newHarness func(t *testing.T) Harness, features Features) {
	t.Helper()
	t.Logf("broker: %s", features.Product)
	s := suite{newHarness: newHarness, features: features}
	s.probe = probe{harness: newHarness(t), features: features}
	s.probe.broker = s.probe.harness.Open(t)
	if err := s.probe.broker.Close(); err != nil {
		t.Fatalf("closing the broker: %v", err)
	}
	t.Run("connection", func(t *testing.T) {
		for _, rules := range [][]rule{
			contentRules, publishRules, poisonRules, queueRules, receiveRules, settleRules, lossRules, closeRules, inboxRules,
			broadcastRules, delayRules, adminRules,
		} {
			s.run(t, rules, (*testing.T).Parallel)
		}
	})
	t.Run("server", func(t *testing.T) {
		s.run(t, serverRules, func(*testing.T) {})
	})
}

// suite is what the rules have in common.
type suite struct {
	newHarness func(t *testing.T) Harness
	features   Features
	probe      probe
}

func (s *suite) run(t *testing.T, rules []rule, prepare func(*testing.T)) {
	for _, r := range rules {
		if r.needs != nil && !r.needs(s.probe) {
			continue
		}
		t.Run(r.name, func(t *testing.T) {
			prepare(t)
			t.Cleanup(func() {
				if t.Failed() {
					t.Logf("the rule is: %s", r.explain)
				}
			})
			r.check(&fixture{T: t, h: s.newHarness(t), features: s.features})
		})
	}
}

// to is the address of a queue.
func to(queue string) flow.Address { return flow.Address{Key: queue} }
