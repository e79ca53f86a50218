package faults

import (
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"mqgateway/test/gatewaytest"
	"mqgateway/test/rabbittest"
)

// maxMessageSize is the node's limit, in bytes: small, so that a test can exceed it.
const maxMessageSize = 256 << 10

// rabbit is RabbitMQ with the queues of one scenario.
type rabbit struct {
	*rabbittest.VHost
	kind string // of its queues
	peer *amqpPeer
}

func newRabbit(t *testing.T, node *rabbittest.Node, kind string) *rabbit {
	t.Helper()
	v := node.VHost(t)
	r := &rabbit{VHost: v, kind: kind, peer: &amqpPeer{uri: v.URI()}}
	t.Cleanup(r.peer.close)
	for _, q := range []string{queueIn, queueAsk, queueOut, queueAnswers} {
		r.declare(t, q)
	}
	return r
}

// declare makes a queue that delivers as often as it takes.
func (r *rabbit) declare(t *testing.T, queue string) {
	t.Helper()
	args := amqp.Table{amqp.QueueTypeArg: r.kind}
	if r.kind == amqp.QueueTypeQuorum && r.Node.Version()[0] >= '4' {
		args["x-delivery-limit"] = int32(-1)
	}
	if _, err := r.Channel(t).QueueDeclare(queue, true, false, false, false, args); err != nil {
		t.Fatal(err)
	}
}

// remove deletes a queue with what lies in it.
func (r *rabbit) remove(t *testing.T, queue string) {
	t.Helper()
	if _, err := r.Channel(t).QueueDelete(queue, false, false, false); err != nil {
		t.Fatal(err)
	}
}

// name is what the table calls the broker.
func (r *rabbit) name() string { return r.Node.Version() }

// names lists the queues.
func (r *rabbit) names(t *testing.T) []string {
	t.Helper()
	var queues []struct{ Name string }
	gatewaytest.Eventually(t, func() error {
		client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: time.Minute}
		answer, err := client.Get(r.Node.ManagementURI() + "/api/queues/" + r.Name + "?columns=name")
		if err != nil {
			return err
		}
		defer func() { _ = answer.Body.Close() }()
		if answer.StatusCode != http.StatusOK {
			return fmt.Errorf("listing the queues: %s", answer.Status)
		}
		return json.NewDecoder(answer.Body).Decode(&queues)
	})
	names := make([]string, len(queues))
	for i, q := range queues {
		names[i] = q.Name
	}
	return names
}

// empty takes everything that a queue holds.
func (r *rabbit) empty(t *testing.T, queue string, take func(letter)) {
	t.Helper()
	ch := r.Channel(t)
	for {
		d, ok, err := ch.Get(queue, true)
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			return
		}
		take(letterOf(d))
	}
}
