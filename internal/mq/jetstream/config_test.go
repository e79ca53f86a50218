package jetstream_test

import (
	"errors"
	"net"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"

	"mqgateway/internal/field"
	"mqgateway/internal/mq"
	"mqgateway/internal/mq/jetstream"
)

// paths are the keys of the problems.
func paths(err error) []string {
	var keys []string
	for _, problem := range field.All(err) {
		keys = append(keys, problem.Path)
	}
	return keys
}

func portOf(t *testing.T, address string) int {
	t.Helper()
	_, digits, err := net.SplitHostPort(address)
	port, convErr := strconv.Atoi(digits)
	if err = errors.Join(err, convErr); err != nil {
		t.Fatal(err)
	}
	return port
}

func TestValidateEmbedded(t *testing.T) {
	for _, tt := range []struct {
		name string
		cfg  jetstream.EmbeddedConfig
		want []string
	}{
		{"defaults", jetstream.EmbeddedConfig{}, nil},
		{"always, port alone", jetstream.EmbeddedConfig{Sync: "always", Listen: "4222"}, nil},
		{"interval, address", jetstream.EmbeddedConfig{Sync: "500ms", Listen: "[::1]:4222"}, nil},
		{"bare milliseconds, empty host", jetstream.EmbeddedConfig{Sync: "500", Listen: ":4222"}, nil},
		{"neither", jetstream.EmbeddedConfig{Sync: "never", Listen: "localhost"}, []string{"sync", "listen"}},
		{"not positive", jetstream.EmbeddedConfig{Sync: "0s", Listen: "localhost:-1"}, []string{"sync", "listen"}},
		{"too high", jetstream.EmbeddedConfig{Listen: "65536"}, []string{"listen"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, paths(tt.cfg.Validate())); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
		})
	}
}

func TestValidateConnection(t *testing.T) {
	for _, tt := range []struct {
		name string
		c    mq.ConnectionConfig
		want []string
	}{
		{"uri", mq.ConnectionConfig{URI: "nats://user:pw@host:4223"}, nil},
		{"tls uri with a token beside", mq.ConnectionConfig{URI: "tls://host", Token: "t"}, nil},
		{"hosts", mq.ConnectionConfig{Hostname: []string{"a", "b"}, Port: 4223, Username: "u", Password: "p"}, nil},
		{"nothing", mq.ConnectionConfig{}, []string{"hostname"}},
		{"scheme", mq.ConnectionConfig{URI: "amqp://host"}, []string{"uri"}},
		{"no host", mq.ConnectionConfig{URI: "nats://"}, []string{"uri"}},
		{"no uri", mq.ConnectionConfig{URI: "nats://a b:%"}, []string{"uri"}},
		{"path", mq.ConnectionConfig{URI: "nats://host/vhost"}, []string{"uri"}},
		{"port of the uri", mq.ConnectionConfig{URI: "nats://host:99999"}, []string{"uri"}},
		{
			"both ways",
			mq.ConnectionConfig{URI: "nats://host", Hostname: []string{"h"}, Port: 1, Username: "u", Password: "p"},
			[]string{"hostname", "port", "username", "password"},
		},
		{"empty host", mq.ConnectionConfig{Hostname: []string{"a", ""}}, []string{"hostname[1]"}},
		{
			"everything else",
			mq.ConnectionConfig{Hostname: []string{"a"}, Port: -1, VirtualHost: "/", Token: "t", Username: "u", Heartbeat: -1},
			[]string{"port", "virtualHost", "token", "heartbeat"},
		},
		{"password alone", mq.ConnectionConfig{Hostname: []string{"a"}, Password: "p"}, []string{"password"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, paths(jetstream.ValidateConnection(tt.c))); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
		})
	}
}

func TestManagerID(t *testing.T) {
	for _, tt := range []struct {
		name string
		c    mq.ConnectionConfig
		want string
	}{
		{"named", mq.ConnectionConfig{QueueManager: "QM1", URI: "nats://host"}, "QM1"},
		{"uri", mq.ConnectionConfig{URI: "nats://user:pw@host"}, "host:4222"},
		{"uri with port", mq.ConnectionConfig{URI: "tls://[::1]:1"}, "[::1]:1"},
		{"hosts", mq.ConnectionConfig{Hostname: []string{"a", "b"}}, "a:4222"},
		{"nothing", mq.ConnectionConfig{}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := jetstream.ManagerID(tt.c); got != tt.want {
				t.Errorf("id = %q, want %q", got, tt.want)
			}
		})
	}
}
