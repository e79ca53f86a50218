package jetstream

import "mqgateway/internal/secret"

// EmbeddedConfig is mq.embedded: the broker inside the process.
type EmbeddedConfig struct {
	// Directory holds the messages. One process at a time may use it. Default ./data.
	Directory string `yaml:"directory"`
	// Listen is an address, such as 127.0.0.1:4222, where other programs reach the
	// broker. A port alone means 127.0.0.1. Default: no address.
	Listen string `yaml:"listen"`
	// Token that other programs show. Default: one is made and kept in the directory.
	Token secret.String `yaml:"token"`
	// Sync is when messages are forced to disk: always, or an interval. Default always.
	Sync string `yaml:"sync"`
}
