package config_test

import (
	"testing"

	"mqgateway/internal/config"
	"mqgateway/internal/mq"
)

func TestUserIsKnownWhereAllManagersKnowTheSame(t *testing.T) {
	t.Parallel()
	named := func(names ...string) (all []mq.ConnectionConfig) {
		for _, name := range names {
			all = append(all, mq.ConnectionConfig{Hostname: []string{"h"}, Username: name})
		}
		return all
	}
	for _, tt := range []struct {
		name        string
		provider    config.Provider
		connections []mq.ConnectionConfig
		want        string
	}{
		{"of one", config.RabbitMQ, named("orders"), "orders"},
		{"of a uri", config.RabbitMQ, []mq.ConnectionConfig{{URI: "amqp://orders:secret@h/"}}, "orders"},
		{"nobody is named", config.RabbitMQ, named(""), "guest"},
		{"the same of all", config.RabbitMQ, named("orders", "orders"), "orders"},
		{"different ones", config.RabbitMQ, named("orders", "payments", "payments"), ""},
		{"NATS has none", config.NATS, named("orders"), ""},
		{"nor has the broker inside", config.Embedded, nil, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var c config.MQConfig
			c.Provider, c.Connection.Connections = tt.provider, tt.connections
			if got := c.User(); got != tt.want {
				t.Errorf("User() = %q, want %q", got, tt.want)
			}
		})
	}
}
