package mapping

import "time"

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
