package faults

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"
)

// letter is a message as a program on the broker sees it.
type letter struct {
	id, correl, replyTo string
	headers             map[string]any
	body                string
	// again tells that the broker has given it to a reader before.
	again bool
}

// broker is where the messages of one scenario go through.
type broker interface {
	// name and kind are what the table calls it and its queues.
	name() string
	kind() string
	// address is where gateways reach it, as host:port.
	address() string
	// consumer and provider are the lines that the configurations of gateways have below
	// mq and below mq.connection; they reach it at the address given.
	consumer(address string, heartbeat time.Duration) (below, connection string)
	provider(address string, heartbeat time.Duration) (below, connection string)

	// put sends a letter to a queue and returns nil once the broker has it there.
	put(ctx context.Context, queue string, l letter) error
	// read hands the letters of a queue to take, and acknowledges each when that
	// returns, until ctx ends. A lost connection is made again.
	read(ctx context.Context, queue string, take func(letter))

	// names lists the queues.
	names(t *testing.T) []string
	// holds counts the messages of a queue, those in somebody's hands among them.
	holds(t *testing.T, queue string) int
	// left hands what lies in a queue to take, and removes it. The gateways have ended.
	left(t *testing.T, queue string, take func(letter))
}

// order is a body that names its message.
func order(id string) string { return document("Order", id) }

// document is an order with another root element, which the gateway routes by.
func document(root, id string) string { return fmt.Sprintf(`<%s id=%q/>`, root, id) }

// idOf is the id that a body names; empty when it names none.
func idOf(body string) string {
	_, rest, _ := strings.Cut(body, `id="`)
	id, _, ok := strings.Cut(rest, `"`)
	if !ok {
		return ""
	}
	return id
}
