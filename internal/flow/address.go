package flow

import (
	"errors"
	"fmt"
	"strings"
)

// exchangePrefix marks an address that names an exchange.
const exchangePrefix = "exchange:"

// Address is where a message is published.
type Address struct {
	// Manager is the id of the broker; empty is any available one.
	Manager string
	// Exchange is empty for the default exchange, where Key names a queue.
	Exchange string
	// Key is the queue, or the routing key of Exchange.
	Key string
}

// ParseAddress reads an address: "queue" or "exchange:<name>/<routing key>". The
// manager stays empty. An exchange without a name or without a slash is an error.
func ParseAddress(text string) (Address, error) {
	rest, ok := strings.CutPrefix(text, exchangePrefix)
	if !ok {
		if text == "" {
			return Address{}, errors.New("address is empty")
		}
		return Address{Key: text}, nil
	}
	exchange, key, ok := strings.Cut(rest, "/")
	if !ok || exchange == "" {
		return Address{}, fmt.Errorf("address %q is not of the form exchange:<name>/<routing key>", text)
	}
	return Address{Exchange: exchange, Key: key}, nil
}

// String is the form that [ParseAddress] reads, without the manager.
func (a Address) String() string {
	if a.Exchange == "" {
		return a.Key
	}
	return exchangePrefix + a.Exchange + "/" + a.Key
}
