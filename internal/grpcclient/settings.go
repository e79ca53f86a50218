package grpcclient

import (
	"cmp"
	"context"
	"math"
	"net"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"mqgateway/internal/flow"
)

// What a configuration that leaves a field at 0 gets.
const (
	defaultHostname       = "empty-service"
	defaultPort           = 5454
	defaultTimeout        = 30 * time.Second
	defaultMaxMessageSize = 4 << 20
)

// settings are those of one authority, ready for calls.
type settings struct {
	config SettingsConfig
	// sizeKey is the configuration key of the size limit.
	sizeKey string
	// metadata are names and values in turn.
	metadata []string
	options  []grpc.CallOption
	// answerRoom replaces the limit among the options for calls whose answer is bounded
	// by the codec.
	answerRoom grpc.CallOption
}

// settingsBook finds the settings of an authority.
type settingsBook struct {
	byName   map[string]*settings
	fallback *settings
}

func newSettingsBook(configs map[string]SettingsConfig) *settingsBook {
	preset := configs[defaultName].over(SettingsConfig{
		Hostname: defaultHostname, Port: defaultPort, Timeout: defaultTimeout, MaxMessageSize: defaultMaxMessageSize,
	})
	book := &settingsBook{byName: map[string]*settings{}, fallback: newSettings(defaultName, preset)}
	for name, c := range configs {
		if name == defaultName {
			continue
		}
		s := newSettings(name, c.over(preset))
		if c.MaxMessageSize == 0 {
			s.sizeKey = book.fallback.sizeKey
		}
		book.byName[name] = s
	}
	return book
}

func newSettings(name string, c SettingsConfig) *settings {
	s := &settings{config: c, sizeKey: "grpc.client.settings." + name + ".maxMessageSizeInMb"}
	for key, value := range c.Metadata {
		s.metadata = append(s.metadata, strings.ToLower(key), value)
	}
	size := int(c.MaxMessageSize)
	s.options = []grpc.CallOption{
		grpc.ForceCodecV2(protobuf),
		grpc.MaxCallRecvMsgSize(size),
		grpc.MaxCallSendMsgSize(size),
		// A call that a closing connection never started is started again on the
		// next one, whatever its size.
		grpc.MaxRetryRPCBufferSize(size),
	}
	s.answerRoom = grpc.MaxCallRecvMsgSize(int(min(answerRoom*c.MaxMessageSize, math.MaxInt32)))
	return s
}

// over fills what c leaves open from preset.
func (c SettingsConfig) over(preset SettingsConfig) SettingsConfig {
	c.Hostname = cmp.Or(c.Hostname, preset.Hostname)
	c.Port = cmp.Or(c.Port, preset.Port)
	c.Timeout = cmp.Or(c.Timeout, preset.Timeout)
	c.Connections = cmp.Or(c.Connections, preset.Connections)
	c.MaxMessageSize = cmp.Or(c.MaxMessageSize, preset.MaxMessageSize)
	c.Keepalive = cmp.Or(c.Keepalive, preset.Keepalive)
	if c.Metadata == nil {
		c.Metadata = preset.Metadata
	}
	return c
}

// of finds the entry of the authority as it is, else of its host, else "default".
func (b *settingsBook) of(authority string) *settings {
	if len(b.byName) == 0 {
		return b.fallback
	}
	if s, ok := b.byName[authority]; ok {
		return s
	}
	if host, _, err := net.SplitHostPort(authority); err == nil {
		if s, ok := b.byName[host]; ok {
			return s
		}
	}
	return b.fallback
}

// timeout is the time for a call of a message: no longer than the message lives.
func (s *settings) timeout(m *flow.Message) time.Duration {
	if m.Expiry > 0 {
		return min(m.Expiry, s.config.Timeout)
	}
	return s.config.Timeout
}

// context adds the metadata to what ctx has already.
func (s *settings) context(ctx context.Context) context.Context {
	if len(s.metadata) == 0 {
		return ctx
	}
	return metadata.AppendToOutgoingContext(ctx, s.metadata...)
}

// address is where an authority is connected to without a mesh.
func (s *settings) address(authority string) string {
	if _, _, err := net.SplitHostPort(authority); err == nil {
		return authority
	}
	return net.JoinHostPort(strings.Trim(authority, "[]"), strconv.Itoa(s.config.Port))
}
