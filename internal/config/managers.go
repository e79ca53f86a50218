package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"mqgateway/internal/field"
	"mqgateway/internal/mq"
	"mqgateway/internal/mq/jetstream"
	"mqgateway/internal/mq/rabbitmq"
)

// EmbeddedManager is the id of the broker inside the process.
const EmbeddedManager = "embedded"

// ManagerIDs are the ids of the managers, in the order in which they are first named.
func (c MQConfig) ManagerIDs() []string {
	if c.Provider == Embedded {
		return []string{EmbeddedManager}
	}
	var ids []string
	for _, connection := range c.Connection.Connections {
		if id := c.managerID(connection); !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids
}

// Addresses are the connections that lead to a manager, in their order.
func (c MQConfig) Addresses(manager string) []mq.ConnectionConfig {
	return slices.DeleteFunc(slices.Clone(c.Connection.Connections), func(connection mq.ConnectionConfig) bool {
		return c.managerID(connection) != manager
	})
}

func (c MQConfig) managerID(connection mq.ConnectionConfig) string {
	if c.Provider == NATS {
		return jetstream.ManagerID(connection)
	}
	return rabbitmq.ManagerID(connection)
}

// User is whom the gateway is to all managers. It is empty where they know it by
// different names, or have no users in messages.
func (c MQConfig) User() (user string) {
	for i, connection := range c.Connection.Connections {
		this := rabbitmq.User(connection)
		if c.Provider != RabbitMQ || i > 0 && this != user {
			return ""
		}
		user = this
	}
	return user
}

// validateDisabled checks the managers that are taken out, with paths below
// mq.consumerParams.
func (c MQConfig) validateDisabled() error {
	var errs []error
	known := c.ManagerIDs()
	for i, id := range c.ConsumerParams.DisableManagerIDs {
		if !slices.Contains(known, id) {
			errs = append(errs, field.Errorf(fmt.Sprintf("disableManagerIds[%d]", i), "%q is no manager; there are %s", id, strings.Join(known, ", ")))
		}
	}
	return errors.Join(errs...)
}

// adviceOnManagers finds keys that are out of date, and a gateway without managers.
func (c MQConfig) adviceOnManagers() error {
	var errs []error
	const old = "mq.connection.connectionCheckPeriod"
	switch period := c.Connection.ConnectionCheckPeriod; {
	case period == 0:
	case period != c.Connection.Health.Period:
		errs = append(errs, field.Errorf(old, "is out of date, and has no effect beside mq.connection.health.period: remove it"))
	default:
		errs = append(errs, field.Errorf(old, "is out of date: use mq.connection.health.period"))
	}
	enabled := func(id string) bool { return !slices.Contains(c.ConsumerParams.DisableManagerIDs, id) }
	if ids := c.ManagerIDs(); len(ids) > 0 && !slices.ContainsFunc(ids, enabled) {
		errs = append(errs, field.Errorf("mq.consumerParams.disableManagerIds", "all managers are disabled: the gateway does nothing"))
	}
	return errors.Join(errs...)
}
