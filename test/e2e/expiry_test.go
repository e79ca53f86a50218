package e2e

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"mqgateway/test/gatewaytest"
	"mqgateway/test/rabbittest"
)

func TestOldMessagesAreRemovedFromListedQueues(t *testing.T) {
	t.Parallel()
	vhost := rabbittest.Shared(t).VHost(t)
	p := newPartner(t, vhost, "OUT", "OLD", "UNTIMED")
	if _, err := p.channel.QueueDeclare("COUNTS", true, false, false, false, amqp.Table{"x-queue-type": "quorum"}); err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	for i := range 300 {
		p.put("OLD", amqp.Publishing{MessageId: fmt.Sprintf("old %d", i), Timestamp: now.Add(-time.Hour)})
	}
	for i := range 40 {
		age := time.Duration(rand.IntN(3)) * time.Minute
		p.put("OLD", amqp.Publishing{MessageId: fmt.Sprintf("young %d", i), Timestamp: now.Add(-age)})
	}
	p.put("OLD", amqp.Publishing{MessageId: "old, but behind", Timestamp: now.Add(-time.Hour)})
	p.put("UNTIMED", amqp.Publishing{MessageId: "no time"})
	p.put("UNTIMED", amqp.Publishing{MessageId: "old, but behind", Timestamp: now.Add(-time.Hour)})
	for range 20 {
		p.put("COUNTS", amqp.Publishing{Timestamp: now})
	}
	config := strings.Replace(syncProvider(vhost, "DIRECT", longWait), "mq:\n", `mq:
  monitoring: {messages: {expiry-listener: {enable: true, period: 1s, threshold: 30m, queues: [OLD, UNTIMED, COUNTS]}}}
`, 1)
	g := gatewaytest.Start(t, config)
	g.WaitMetric(t, `expired_messages_total{manager="QM1",queue="OLD"}`, 300)
	g.WaitForLog(t, "old messages are removed")
	if line := g.WaitForLog(t, "queue counts deliveries"); line["queue"] != "COUNTS" {
		t.Errorf("log line = %v, want that of the quorum queue", line)
	}
	g.Stop(t)
	for i := range 40 {
		if got := p.take("OLD").MessageId; got != fmt.Sprintf("young %d", i) {
			t.Fatalf("message %d that stays = %q, want the young ones in their order", i, got)
		}
	}
	if first, second := p.take("OLD").MessageId, p.take("UNTIMED").MessageId; first != "old, but behind" || second != "no time" {
		t.Errorf("messages behind the young ones, and without a time: %q, %q, want them in their places", first, second)
	}
	if got := vhost.Messages(t, "COUNTS"); got != 20 {
		t.Errorf("messages of the quorum queue = %d, want all 20", got)
	}
}
