package grpcclient

import (
	"errors"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"mqgateway/internal/field"
)

// The values of grpc.client.routing.
const (
	byAuthority = "authority"
	direct      = "direct"
)

// defaultName is the entry of settings that holds for all.
const defaultName = "default"

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

// minKeepalive is the shortest time of silence that grpc-go allows.
const minKeepalive = 10 * time.Second

// maxConnections bounds a pool that is configured.
const maxConnections = 64

// Validate reports every value that no call can be made with.
func (c Config) Validate() error {
	var errs []error
	switch c.Routing {
	case "", byAuthority, direct:
	default:
		errs = append(errs, field.Errorf("routing", "%q is neither %s nor %s", c.Routing, byAuthority, direct))
	}
	for _, name := range slices.Sorted(maps.Keys(c.Settings)) {
		errs = append(errs, field.Under("settings."+name, c.Settings[name].validate()))
	}
	return errors.Join(errs...)
}

func (c SettingsConfig) validate() error {
	k := c.Keepalive
	errs := []error{
		field.If(strings.ContainsAny(c.Hostname, ":/ ") && !strings.HasPrefix(c.Hostname, "["),
			"hostname", "%q is no host name; the port stands in port", c.Hostname),
		field.If(c.Port < 0 || c.Port > math.MaxUint16, "port", "%d is not from 0 to %d", c.Port, math.MaxUint16),
		field.If(c.Timeout < 0, "timeout", "%s is negative", c.Timeout),
		field.If(c.Connections < 0 || c.Connections > maxConnections, "connections", "%d is not from 0 to %d", c.Connections, maxConnections),
		field.If(c.MaxMessageSize < 0 || c.MaxMessageSize > math.MaxInt32, "maxMessageSizeInMb", "%d bytes are not from 0 to %d", c.MaxMessageSize, math.MaxInt32),
		field.If(k.Time < 0 || k.Time > 0 && k.Time < minKeepalive, "keepalive.time", "%s is shorter than %s", k.Time, minKeepalive),
		field.If(k.Timeout < 0, "keepalive.timeout", "%s is negative", k.Timeout),
	}
	for _, name := range slices.Sorted(maps.Keys(c.Metadata)) {
		err := checkMetadata(name, c.Metadata[name])
		errs = append(errs, field.If(err != nil, "metadata."+name, "%w", err))
	}
	return errors.Join(errs...)
}

// checkMetadata holds names and values against what HTTP/2 headers of gRPC take
// (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md).
func checkMetadata(name, value string) error {
	allowed := func(r rune) bool {
		return 'a' <= r && r <= 'z' || '0' <= r && r <= '9' || strings.ContainsRune("-_.", r)
	}
	lower := strings.ToLower(name)
	switch {
	case name == "" || strings.ContainsFunc(lower, func(r rune) bool { return !allowed(r) }):
		return errors.New("name may have letters, digits, dashes, underscores and dots only")
	case strings.HasPrefix(lower, "grpc-"):
		return errors.New("names that begin with grpc- belong to gRPC")
	case !strings.HasSuffix(lower, "-bin") && strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r > '~' }):
		return errors.New("value has characters outside of printable ASCII; a name that ends in -bin takes any")
	}
	return nil
}
