package rabbitmq_test

import (
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mqgateway/internal/field"
	"mqgateway/internal/mq"
	"mqgateway/internal/mq/rabbitmq"
)

func hostPort(t testing.TB, address string) (string, int) {
	t.Helper()
	host, text, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return host, port
}

func TestValidateConnection(t *testing.T) {
	for _, tt := range []struct {
		name string
		c    mq.ConnectionConfig
		want []string // keys with problems
	}{
		{"uri", mq.ConnectionConfig{URI: "amqp://u:p@host:5672/vhost"}, nil},
		{"uri with tls", mq.ConnectionConfig{URI: "amqps://host", Heartbeat: 5 * time.Second}, nil},
		{"hosts", mq.ConnectionConfig{Hostname: []string{"a", "10.0.0.1", "::1"}, Port: 5673, VirtualHost: "v"}, nil},
		{"nothing", mq.ConnectionConfig{}, []string{""}},
		{"uri and the rest", mq.ConnectionConfig{
			URI: "amqp://host", Hostname: []string{"a"}, Port: 1, VirtualHost: "v", Username: "u", Password: "p",
		}, []string{"hostname", "port", "virtualHost", "username", "password"}},
		{"scheme", mq.ConnectionConfig{URI: "http://host"}, []string{"uri"}},
		{"scheme of another broker", mq.ConnectionConfig{URI: "nats://host"}, []string{"uri"}},
		{"no host", mq.ConnectionConfig{URI: "amqp://"}, []string{"uri"}},
		{"password not encoded", mq.ConnectionConfig{URI: "amqp://u:sec/ret@host"}, []string{"uri"}},
		{"password badly encoded", mq.ConnectionConfig{URI: "amqp://u:secret%zz@host"}, []string{"uri"}},
		{"port of uri", mq.ConnectionConfig{URI: "amqp://host:70000"}, []string{"uri"}},
		{"parameters", mq.ConnectionConfig{URI: "amqps://host?certfile=secret.pem"}, []string{"uri"}},
		{"port", mq.ConnectionConfig{Hostname: []string{"a"}, Port: 65536}, []string{"port"}},
		{"negative port", mq.ConnectionConfig{Hostname: []string{"a"}, Port: -1}, []string{"port"}},
		{"odd hosts", mq.ConnectionConfig{Hostname: []string{"a", "", "b:5672", "amqp://c"}}, []string{"hostname[1]", "hostname[2]", "hostname[3]"}},
		{"token", mq.ConnectionConfig{Hostname: []string{"a"}, Token: "secret"}, []string{"token"}},
		{"heartbeat of less than a second", mq.ConnectionConfig{Hostname: []string{"a"}, Heartbeat: time.Millisecond}, []string{"heartbeat"}},
		{"broken heartbeat", mq.ConnectionConfig{Hostname: []string{"a"}, Heartbeat: 1500 * time.Millisecond}, []string{"heartbeat"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := rabbitmq.ValidateConnection(tt.c)
			var got []string
			for _, e := range field.All(err) {
				got = append(got, e.Path)
				if strings.Contains(e.Error(), "sec") && strings.Contains(e.Error(), "ret") {
					t.Errorf("the secret is shown: %v", e)
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("keys (-want +got):\n%s\n%v", diff, err)
			}
			_, openErr := rabbitmq.Open(rabbitmq.Config{Addresses: []mq.ConnectionConfig{tt.c}})
			if (openErr != nil) != (err != nil) {
				t.Errorf("Open() = %v, ValidateConnection() = %v", openErr, err)
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
		{"given", mq.ConnectionConfig{URI: "amqp://u:p@host/v", QueueManager: "QM1"}, "QM1"},
		{"uri", mq.ConnectionConfig{URI: "amqp://u:p@host:5673/v"}, "host:5673/v"},
		{"uri with an encoded vhost", mq.ConnectionConfig{URI: "amqps://u:p@host/%2Fa"}, "host:5671//a"},
		{"defaults", mq.ConnectionConfig{Hostname: []string{"a", "b"}}, "a:5672//"},
		{"uri without vhost", mq.ConnectionConfig{URI: "amqp://host"}, "host:5672//"},
		{"ipv6", mq.ConnectionConfig{Hostname: []string{"::1"}, Port: 1, VirtualHost: "v"}, "[::1]:1/v"},
		{"not valid", mq.ConnectionConfig{URI: "amqp://u:secret%zz@host"}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := rabbitmq.ManagerID(tt.c); got != tt.want {
				t.Errorf("ManagerID() = %q, want %q", got, tt.want)
			}
		})
	}
}

func TestOpenWithoutAddress(t *testing.T) {
	if _, err := rabbitmq.Open(rabbitmq.Config{}); err == nil {
		t.Error("Open() without an address succeeds")
	}
}
