package grpcsrv

import (
	"errors"
	"math"
	"time"

	"mqgateway/internal/field"
)

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

// Validate reports every value that no server can have.
func (c Config) Validate() error {
	k := c.Keepalive
	return errors.Join(
		field.If(c.ServerPort < 0 || c.ServerPort > math.MaxUint16, "serverPort", "%d is not from 0 to %d", c.ServerPort, math.MaxUint16),
		field.If(c.MaxMessageSize < 0 || c.MaxMessageSize > math.MaxInt32, "maxMessageSizeInMb", "%d bytes are not from 0 to %d", c.MaxMessageSize, math.MaxInt32),
		field.If(k.Time < 0, "keepalive.time", "%s is negative", k.Time),
		field.If(k.Timeout < 0, "keepalive.timeout", "%s is negative", k.Timeout),
		field.If(k.MinTime < 0, "keepalive.minTime", "%s is negative", k.MinTime),
		field.If(k.MaxConnectionAge < 0, "keepalive.maxConnectionAge", "%s is negative", k.MaxConnectionAge),
	)
}
