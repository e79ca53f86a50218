package faults

import (
	"cmp"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"mqgateway/test/rabbittest"
)

// scenario is one story, told on each kind of queue.
type scenario struct {
	name string
	tell func(t *testing.T, b broker) []row
	// embedded tells that it works with the embedded broker, too.
	embedded bool
}

// short is what runs as a test: every part of the instrument, in about a minute. Its
// times are out of a busy machine's reach: what came twice because of them would have
// no fault to explain it.
var short = scenario{"short", func(t *testing.T, b broker) []row {
	w := newWorld(t, b, plan{
		messages: 8000, rate: 400, shares: all, heartbeat: 5 * time.Second,
		adapt: strings.NewReplacer("confirmTimeout: 5s", "confirmTimeout: 1m", "timeout: 10s", "timeout: 1m").Replace,
	})
	w.keepInHand()
	w.send()
	w.sufferAll(t, []fault{killGateway, killGateway, restartBroker, resetNetwork, resetNetwork, resetNetwork, blackHole(12 * time.Second), killService})
	return w.finish()
}, true}

// TestFaults runs the short scenario; with -long all others, which make faults does.
func TestFaults(t *testing.T) {
	list, on := []scenario{short}, "classic"
	if *long {
		list, on = scenarios, "classic,quorum,embedded"
	}
	wanted, err := regexp.Compile(*only)
	if err != nil {
		t.Fatal(err)
	}
	brokers := brokers{t: t}
	var rows []row
	for _, s := range list {
		for kind := range strings.SplitSeq(cmp.Or(*queues, on), ",") {
			if !wanted.MatchString(s.name) || kind == "embedded" && !s.embedded {
				continue
			}
			t.Run(s.name+"/"+kind, func(t *testing.T) {
				told := s.tell(t, brokers.open(t, kind))
				for i := range told {
					told[i].scenario, told[i].good = s.name, told[i].good && !t.Failed()
				}
				rows = append(rows, told...)
				if err := printTable(os.Stdout, told); err != nil {
					t.Error(err)
				}
			})
		}
	}
	if err := printTable(os.Stdout, rows); err != nil {
		t.Error(err)
	}
}

// brokers share one RabbitMQ, which boots when it is needed and ends with the test t.
type brokers struct {
	t    *testing.T
	node *rabbittest.Node
}

// open makes the broker of one scenario.
func (b *brokers) open(t *testing.T, kind string) broker {
	t.Helper()
	if kind == "embedded" {
		return newEmbedded(t)
	}
	if b.node == nil {
		b.node = rabbittest.Start(b.t, fmt.Sprintf("max_message_size = %d", maxMessageSize))
	}
	return newRabbit(t, b.node, kind)
}
