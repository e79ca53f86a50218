package e2e

import (
	"fmt"
	"strings"
	"testing"

	amqp "github.com/rabbitmq/amqp091-go"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	pb "mqgateway/api/proto/gateway"
	"mqgateway/test/faults/proxy"
	"mqgateway/test/gatewaytest"
	"mqgateway/test/rabbittest"
)

// partner is a foreign program on the broker.
type partner struct {
	t       *testing.T
	vhost   *rabbittest.VHost
	channel *amqp.Channel
}

// newPartner connects to a virtual host and declares durable queues.
func newPartner(t *testing.T, vhost *rabbittest.VHost, queues ...string) *partner {
	t.Helper()
	p := &partner{t: t, vhost: vhost, channel: vhost.Channel(t)}
	for _, q := range queues {
		if _, err := p.channel.QueueDeclare(q, true, false, false, false, nil); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

// put sends a message to a queue.
func (p *partner) put(queue string, m amqp.Publishing) {
	p.t.Helper()
	m.DeliveryMode = amqp.Persistent
	if err := p.channel.PublishWithContext(p.t.Context(), "", queue, true, false, m); err != nil {
		p.t.Fatal(err)
	}
}

// take waits for a message of a queue and acknowledges it.
func (p *partner) take(queue string) amqp.Delivery {
	p.t.Helper()
	var taken amqp.Delivery
	gatewaytest.Eventually(p.t, func() error {
		if p.vhost.Messages(p.t, queue) <= 0 {
			return fmt.Errorf("nothing in %q", queue)
		}
		d, ok, err := p.channel.Get(queue, true)
		if err != nil {
			p.t.Fatal(err)
		}
		if !ok {
			return fmt.Errorf("nothing in %q", queue)
		}
		taken = d
		return nil
	})
	return taken
}

// waitEmpty waits until a queue has no messages, unsettled ones counted.
func (p *partner) waitEmpty(queue string) {
	p.t.Helper()
	gatewaytest.Eventually(p.t, func() error {
		if n := p.vhost.Messages(p.t, queue); n != 0 {
			return fmt.Errorf("%d messages in %q, want 0", n, queue)
		}
		return nil
	})
}

// dial connects to the gateway's gRPC port.
func dial(t *testing.T, g *gatewaytest.Gateway) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(g.GRPC, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// client is a foreign microservice's client of the gateway.
func client(t *testing.T, g *gatewaytest.Gateway) pb.MessageAsyncChannelClient {
	t.Helper()
	return pb.NewMessageAsyncChannelClient(dial(t, g))
}

// codeOf is the gateway's code of a failed call; empty when it gave none.
func codeOf(err error) string {
	for _, d := range status.Convert(err).Details() {
		if info, ok := d.(*errdetails.ErrorInfo); ok && info.GetDomain() == "mq-gateway" {
			return info.GetMetadata()["code"]
		}
	}
	return ""
}

// through has a configuration reach a virtual host through a bad network.
func through(t *testing.T, vhost *rabbittest.VHost, config string) (string, *proxy.Proxy) {
	t.Helper()
	network := proxy.Start(t, vhost.Node.Address())
	return strings.Replace(config, vhost.Node.Address(), network.Address, 1), network
}

// failure adds keys of mq.failure to a configuration.
func failure(config, keys string) string {
	return strings.Replace(config, "mq:\n", "mq:\n  failure: {"+keys+"}\n", 1)
}
