package faults

import (
	"fmt"
	"strings"
)

// letter is a message as a program on the broker sees it.
type letter struct {
	id, correl, replyTo string
	headers             map[string]any
	body                string
	// again tells that the broker has given it to a reader before.
	again bool
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
