package grpcsrv

import "time"

// Config is grpc.server: the API that microservices call.
type Config struct {
	// ServerPort is the TCP port; 0 takes a free one. Default 5454.
	ServerPort int `yaml:"serverPort"`
	// MaxMessageSize bounds a message in either direction, in MiB without a unit. Default 4.
	MaxMessageSize int64 `yaml:"maxMessageSizeInMb" unit:"MB"`
	// MaxConcurrentStreams bounds the calls at once on one connection. Default 1000.
	MaxConcurrentStreams uint32 `yaml:"maxConcurrentStreams"`
	// Reflection lets tools such as grpcurl list the services. Default true.
	Reflection bool `yaml:"reflection"`
	// Keepalive of the connections of clients.
	Keepalive KeepaliveConfig `yaml:"keepalive"`
}

// KeepaliveConfig says how connections are kept and aged; 0 takes grpc-go's default.
type KeepaliveConfig struct {
	// Time of silence after which the server pings a client.
	Time time.Duration `yaml:"time"`
	// Timeout for the answer to a ping.
	Timeout time.Duration `yaml:"timeout"`
	// MinTime between pings of a client; more often ends its connection.
	MinTime time.Duration `yaml:"minTime"`
	// MaxConnectionAge after which clients are asked to connect again, which spreads load.
	MaxConnectionAge time.Duration `yaml:"maxConnectionAge"`
}
