package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"mqgateway/test/gatewaytest"
)

// TestPausesLoseAndRepeatNothing pauses reading and takes managers out under load.
// Nothing fails here, so that each message has to come once: what was delivered and not
// begun goes back, and what is in work is finished.
func TestPausesLoseAndRepeatNothing(t *testing.T) {
	t.Parallel()
	b := threeManagers(t)
	var partners []*partner
	for _, v := range b.vhosts {
		partners = append(partners, newPartner(t, v, "IN"))
	}
	s := gatewaytest.Serve(t, "")
	config := b.consumer("Common", s)
	g := gatewaytest.Start(t, config)
	subscribed := func(i int, want float64) {
		t.Helper()
		g.WaitMetric(t, fmt.Sprintf(`gateway_queue_subscribed{manager="QM%d",queue="IN"}`, i+1), want)
	}
	ctx, cancel := context.WithCancel(context.Background())
	put := 0
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for ; ctx.Err() == nil; put++ {
			err := partners[put%3].channel.Publish("", "IN", true, false, amqp.Publishing{
				MessageId: fmt.Sprint(put), DeliveryMode: amqp.Persistent, Body: []byte("<Order/>"),
			})
			if err != nil {
				t.Error(err)
				return
			}
			time.Sleep(time.Millisecond)
		}
	}()
	for _, tt := range []struct {
		keys string
		read [3]float64
	}{
		{"disableManagerIds: QM2", [3]float64{1, 0, 1}},
		{"disableManagerIds: [QM1, QM3]", [3]float64{0, 1, 0}},
		{"readEnabled: false", [3]float64{0, 0, 0}},
		{"readEnabled: true", [3]float64{1, 1, 1}},
		{"{readEnabled: false, disableManagerIds: QM1}", [3]float64{0, 0, 0}},
		{"disableManagerIds: []", [3]float64{1, 1, 1}},
	} {
		g.Configure(t, strings.Replace(config, "mq:\n", "mq:\n  consumerParams: {"+strings.Trim(tt.keys, "{}")+"}\n", 1))
		g.Hangup(t)
		for i, want := range tt.read {
			subscribed(i, want)
		}
	}
	cancel()
	<-ended
	s.WaitCalls(t, put)
	for _, p := range partners {
		p.waitEmpty("IN")
	}
	seen := map[string]int{}
	for _, c := range s.Calls() {
		seen[c.Message.GetMessageId()]++
	}
	for i := range put {
		if n := seen[fmt.Sprint(i)]; n != 1 {
			t.Errorf("message %d came %d times, want once", i, n)
		}
	}
}
