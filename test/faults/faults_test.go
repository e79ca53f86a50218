package faults

import (
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
	tell func(t *testing.T, node *rabbittest.Node, queues string) []row
}

// short is what runs as a test: every part of the instrument, in about a minute.
var short = scenario{"short", func(t *testing.T, node *rabbittest.Node, queues string) []row {
	w := newWorld(t, node, queues, plan{messages: 15_000, rate: 400, shares: all, heartbeat: 2 * time.Second})
	w.service.takes(0, 50*time.Millisecond)
	w.replyPause = [2]time.Duration{0, 50 * time.Millisecond}
	w.send()
	w.sufferAll(t, []fault{killGateway, killGateway, restartBroker, resetNetwork, resetNetwork, resetNetwork, blackHole(6 * time.Second), killService})
	return w.finish()
}}

// TestFaults runs the short scenario; with -long all others, which make faults does.
func TestFaults(t *testing.T) {
	list, kinds := []scenario{short}, []string{"classic"}
	if *long {
		list, kinds = scenarios, []string{"classic", "quorum"}
	}
	if *queues != "" {
		kinds = strings.Split(*queues, ",")
	}
	wanted, err := regexp.Compile(*only)
	if err != nil {
		t.Fatal(err)
	}
	node := rabbittest.Start(t, fmt.Sprintf("max_message_size = %d", maxMessageSize))
	var rows []row
	for _, s := range list {
		for _, kind := range kinds {
			if !wanted.MatchString(s.name) {
				continue
			}
			t.Run(s.name+"/"+kind, func(t *testing.T) {
				for _, r := range s.tell(t, node, kind) {
					r.scenario, r.good = s.name, r.good && !t.Failed()
					rows = append(rows, r)
				}
			})
		}
	}
	if err := printTable(os.Stdout, rows); err != nil {
		t.Error(err)
	}
}
