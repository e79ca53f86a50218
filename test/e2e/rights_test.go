package e2e

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	amqp "github.com/rabbitmq/amqp091-go"
	"google.golang.org/grpc/codes"

	"mqgateway/test/gatewaytest"
	"mqgateway/test/rabbittest"
)

// TestConsumerWithTheRightsOfThePage reads, parks, dead-letters and replays as the user
// whose rights docs/rights.md has as an example.
func TestConsumerWithTheRightsOfThePage(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/rights.md")
	if err != nil {
		t.Fatal(err)
	}
	rights := regexp.MustCompile(`set_permissions gateway '(.*)' '(.*)' '(.*)'`).FindStringSubmatch(string(page))
	if rights == nil {
		t.Fatal("the page has no example")
	}
	vhost, service := rabbittest.Shared(t).VHost(t), gatewaytest.Serve(t, "")
	ch := vhost.Channel(t)
	if _, err := ch.QueueDeclare("ORDERS.IN", true, false, false, false, nil); err != nil {
		t.Fatal(err)
	}
	config := fmt.Sprintf(`
mq:
  workMode: async
  connection:
    connections: [{uri: %q, queueManager: QM1}]
    receiveQueue: ORDERS.IN
  failure: {retry: {inPlaceMax: 0s, initial: 1s, max: 1s}}
grpc: {client: {settings: {default: {hostname: 127.0.0.1, port: %s}}}}
routing: {routeList: [{destinationExpression: "'orders'"}]}
`, vhost.UserURI(t, rights[1], rights[2], rights[3]), service.Port())
	g := gatewaytest.Start(t, config)
	g.WaitReady(t, 200)
	put := func() {
		if err := ch.Publish("", "ORDERS.IN", false, false, amqp.Publishing{MessageId: "m-1", Body: []byte("<Order/>")}); err != nil {
			t.Fatal(err)
		}
	}

	service.Set(codes.Unavailable, nil)
	put()
	g.WaitForLog(t, "message failed; parked until its next try")
	service.Set(codes.InvalidArgument, nil)
	g.WaitForLog(t, "message is moved to the dead letter queue")
	service.Set(codes.OK, nil)
	if r := gatewaytest.Run(t, config, "dlq", "replay", "--code", "602"); r.Code != 0 || !strings.Contains(r.Stdout, "1 letter replayed") {
		t.Errorf("replay: exit code %d, %s%s", r.Code, r.Stdout, r.Stderr)
	}
	gatewaytest.Eventually(t, func() error {
		if n := vhost.Messages(t, "ORDERS.IN.DLQ"); n != 0 {
			return fmt.Errorf("%d dead letters", n)
		}
		if calls := service.Calls(); len(calls) < 3 {
			return fmt.Errorf("%d calls, want 3", len(calls))
		}
		return nil
	})
}
