package faults

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
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
	*amqpPeer
	vhost  *rabbittest.VHost
	queues string // kind of them
}

var _ broker = (*rabbit)(nil)

func newRabbit(t *testing.T, node *rabbittest.Node, kind string) *rabbit {
	t.Helper()
	v := node.VHost(t)
	r := &rabbit{&amqpPeer{uri: v.URI()}, v, kind}
	t.Cleanup(r.close)
	for _, q := range []string{queueIn, queueAsk, queueOut, queueAnswers} {
		r.declare(t, q)
	}
	return r
}

// declare makes a queue that delivers as often as it takes.
func (r *rabbit) declare(t *testing.T, queue string) {
	t.Helper()
	args := amqp.Table{amqp.QueueTypeArg: r.queues}
	if r.queues == amqp.QueueTypeQuorum && r.vhost.Node.Version()[0] >= '4' {
		args["x-delivery-limit"] = int32(-1)
	}
	if _, err := r.vhost.Channel(t).QueueDeclare(queue, true, false, false, false, args); err != nil {
		t.Fatal(err)
	}
}

// remove deletes a queue with what lies in it.
func (r *rabbit) remove(t *testing.T, queue string) {
	t.Helper()
	if _, err := r.vhost.Channel(t).QueueDelete(queue, false, false, false); err != nil {
		t.Fatal(err)
	}
}

func (r *rabbit) name() string { return "RabbitMQ " + r.vhost.Node.Version() }

func (r *rabbit) kind() string { return r.queues }

func (r *rabbit) address() string { return r.vhost.Node.Address() }

func (r *rabbit) consumer(address string, heartbeat time.Duration) (below, connection string) {
	uri := strings.Replace(r.vhost.URI(), r.address(), address, 1)
	return "provider: rabbitmq", fmt.Sprintf(`connections: [{uri: %q, queueManager: QM1, heartbeat: %s}]`, uri, heartbeat)
}

func (r *rabbit) provider(address string, heartbeat time.Duration) (below, connection string) {
	return r.consumer(address, heartbeat)
}

func (r *rabbit) holds(t *testing.T, queue string) int { return r.vhost.Messages(t, queue) }

func (r *rabbit) names(t *testing.T) []string {
	t.Helper()
	var queues []struct{ Name string }
	gatewaytest.Eventually(t, func() error {
		client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: time.Minute}
		answer, err := client.Get(r.vhost.Node.ManagementURI() + "/api/queues/" + r.vhost.Name + "?columns=name")
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

func (r *rabbit) left(t *testing.T, queue string, take func(letter)) {
	t.Helper()
	ch := r.vhost.Channel(t)
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
