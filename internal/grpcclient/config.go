package grpcclient

import "time"

// Config is grpc.client: how microservices are called.
type Config struct {
	// Routing is how a call reaches its service: authority (one pool of connections
	// to settings.default, the routed name travels as :authority) or direct (the
	// routed name is resolved and connected to). Default authority.
	Routing string `yaml:"routing" enum:"authority,direct"`
	// Settings by authority; "default" holds for all that have none of their own.
	Settings map[string]SettingsConfig `yaml:"settings" shared:"timeout"`
}

// SettingsConfig is one entry of grpc.client.settings. A field that is not set is
// taken from the entry "default".
type SettingsConfig struct {
	// Hostname to connect to, with routing: authority in "default" only.
	Hostname string `yaml:"hostname"`
	// Port to connect to. Default 5454.
	Port int `yaml:"port"`
	// Timeout of a call. Default 30s.
	Timeout time.Duration `yaml:"timeout"`
	// Connections is the size of the pool; 0 is automatic. Default 0.
	Connections int `yaml:"connections"`
	// MaxMessageSize bounds a message in either direction, in MiB without a unit. Default 4.
	MaxMessageSize int64 `yaml:"maxMessageSizeInMb" unit:"MB"`
	// Keepalive pings of idle connections; off when Time is 0.
	Keepalive KeepaliveConfig `yaml:"keepalive"`
	// Metadata is added to every call.
	Metadata map[string]string `yaml:"metadata"`
}

// KeepaliveConfig says when a silent connection is pinged.
type KeepaliveConfig struct {
	// Time of silence after which the client pings, at least 10s.
	Time time.Duration `yaml:"time"`
	// Timeout for the answer. Default 20s.
	Timeout time.Duration `yaml:"timeout"`
}
