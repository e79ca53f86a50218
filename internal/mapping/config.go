package mapping

import (
	"errors"
	"maps"
	"slices"
	"time"

	"mqgateway/internal/field"
	"mqgateway/internal/flow"
)

// OutboundConfig is mq.outbound: what sent messages get when nobody sets it.
type OutboundConfig struct {
	// DeliveryMode is persistent or non-persistent. Default persistent.
	DeliveryMode string `yaml:"deliveryMode" enum:"persistent,non-persistent"`
	// Priority is 0 to 255; 0 is not set.
	Priority int `yaml:"priority"`
	// Expiry is the life of a message, in ms without a unit; 0 is for ever.
	Expiry time.Duration `yaml:"expiry"`
	// Headers are user headers that are added where the message has none of the name.
	Headers map[string]string `yaml:"headers"`
}

// Validate reports every value that no message can have.
func (c OutboundConfig) Validate() error {
	var errs []error
	switch c.DeliveryMode {
	case "", deliveryPersistent, deliveryNonPersistent:
	default:
		errs = append(errs, field.Errorf("deliveryMode", "%q is neither %s nor %s", c.DeliveryMode, deliveryPersistent, deliveryNonPersistent))
	}
	if c.Priority < 0 || c.Priority > 255 {
		errs = append(errs, field.Errorf("priority", "%d is not from 0 to 255", c.Priority))
	}
	if c.Expiry < 0 || c.Expiry > flow.MaxExpiry {
		errs = append(errs, field.Errorf("expiry", "%s is not from 0 to %s", c.Expiry, flow.MaxExpiry))
	}
	for _, name := range slices.Sorted(maps.Keys(c.Headers)) {
		if err := checkDefaultHeader(name, c.Headers[name]); err != nil {
			errs = append(errs, field.Errorf("headers."+name, "%w", err))
		}
	}
	if err := checkHeaders(defaultHeaders(c.Headers)); err != nil {
		errs = append(errs, field.Errorf("headers", "%w", err))
	}
	return errors.Join(errs...)
}

// The values of deliveryMode.
const (
	deliveryPersistent    = "persistent"
	deliveryNonPersistent = "non-persistent"
)

func checkDefaultHeader(name, value string) error {
	if (flow.Header{Name: name}).Reserved() {
		return errors.New("name belongs to the broker or the gateway")
	}
	return checkHeader(name, value)
}

// persistence is what a message gets when nobody sets it.
func (c OutboundConfig) persistence() flow.Persistence {
	if c.DeliveryMode == deliveryNonPersistent {
		return flow.NonPersistent
	}
	return flow.Persistent
}

// defaultHeaders are headers in the order of their names.
func defaultHeaders(values map[string]string) []flow.Header {
	headers := make([]flow.Header, 0, len(values))
	for _, name := range slices.Sorted(maps.Keys(values)) {
		headers = append(headers, flow.Header{Name: name, Value: values[name]})
	}
	return headers
}
