package main

import (
	"fmt"
	"strings"
	"time"
)

// The flows that are measured.
const (
	consuming = "sc async"       // queue -> call of a service -> ack
	providing = "sp async"       // call -> publish with confirm -> answer
	answering = "sc sync"        // queue -> call of a service -> publish its answer with confirm -> ack
	asking    = "sp sync UNIQUE" // call -> publish with confirm -> reply by a queue -> answer
	direct    = "sp sync DIRECT" // the same, with the reply by direct reply-to
)

// asks tells that callers wait for replies.
func (s scenario) asks() bool { return s.Flow == asking || s.Flow == direct }

// reads tells that the load is a queue, not callers.
func (s scenario) reads() bool { return s.Flow == consuming || s.Flow == answering }

// The two sides of each round, in their order.
const (
	bareSide    = "bare"
	gatewaySide = "gateway"
)

var sides = []string{bareSide, gatewaySide}

// scenario is one kind of message through one flow.
type scenario struct {
	Flow string
	// Format of the body, and its size.
	Format string
	Size   int
	// Queue is the kind of queue.
	Queue string
	// Rate of messages a second; 0 is as many as go.
	Rate int
}

// name is how a scenario is chosen and shown.
func (s scenario) name() string {
	name := fmt.Sprintf("%s, %s %d KiB, %s", s.Flow, s.Format, s.Size>>10, s.Queue)
	if s.Rate > 0 {
		name += fmt.Sprintf(", %d/s", s.Rate)
	}
	return name
}

// bar is the most CPU time, relative to the bare loop, that the gateway is
// allowed; 0 is no bar.
func (s scenario) bar() float64 {
	switch {
	case s.Rate > 0:
		return 0
	case s.Flow == consuming:
		return 1.6
	case s.Flow == answering, s.asks():
		return 1.5
	default:
		return 1.4
	}
}

// saturated are the scenarios in which everybody does as much as goes.
func saturated() []scenario {
	var all []scenario
	for _, flow := range []string{consuming, providing} {
		for _, queue := range []string{"classic", "quorum"} {
			all = append(all,
				scenario{Flow: flow, Format: "XML", Size: 1 << 10, Queue: queue},
				scenario{Flow: flow, Format: "XML", Size: 10 << 10, Queue: queue},
				scenario{Flow: flow, Format: "JSON", Size: 1 << 10, Queue: queue})
		}
	}
	for _, flow := range []string{answering, asking, direct} {
		all = append(all, scenario{Flow: flow, Format: "XML", Size: 1 << 10, Queue: "classic"})
	}
	return all
}

// paced are the scenarios at fixed rates.
func paced() []scenario {
	var all []scenario
	for _, flow := range []string{consuming, providing, answering, asking, direct} {
		for _, rate := range []int{500, 2000} {
			all = append(all, scenario{Flow: flow, Format: "XML", Size: 1 << 10, Queue: "classic", Rate: rate})
		}
	}
	return all
}

// pacedTime is how long a fixed rate is kept up.
const pacedTime = 8 * time.Second

// root is the name of the operation, which the gateway finds in the body and
// calls the service by.
const root = "orders"

// body makes the body of a scenario, whose operation stands at its begin.
func (s scenario) body() string {
	begin, unit, end := `<?xml version="1.0" encoding="UTF-8"?><`+root+` xmlns="urn:example:orders"><Head><SystemID>core</SystemID></Head>`,
		`<Item id="17"><Name>Widget</Name><Sum>10.50</Sum></Item>`, `</`+root+`>`
	if s.Format == "JSON" {
		begin, unit, end = `{"operation":"`+root+`","head":{"system":"core"},"items":[`, `{"id":17,"name":"Widget","sum":10.50},`, `{}]}`
	}
	count := (s.Size - len(begin) - len(end)) / len(unit)
	rest := s.Size - len(begin) - len(end) - count*len(unit)
	return begin + strings.Repeat(unit, count) + strings.Repeat(" ", rest) + end
}

// contentType is that of the body.
func (s scenario) contentType() string {
	if s.Format == "JSON" {
		return "application/json"
	}
	return "application/xml"
}
