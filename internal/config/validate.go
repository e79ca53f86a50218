package config

import (
	"errors"
	"fmt"
	"reflect"
	"slices"

	"mqgateway/internal/config/tree"
	"mqgateway/internal/field"
	"mqgateway/internal/flow"
	"mqgateway/internal/mq"
	"mqgateway/internal/mq/jetstream"
	"mqgateway/internal/mq/rabbitmq"
	"mqgateway/internal/routing"
)

// Validate reports everything that is wrong, as problems of package field: what each
// package says of its block, and what holds between blocks.
func (c Config) Validate() error {
	return errors.Join(
		field.Under("mq.connection", c.MQ.validateConnection()),
		field.Under("mq.consumerParams", errors.Join(validateConsumer(c.MQ.ConsumerParams), c.MQ.validateOrder(), c.MQ.validateDisabled())),
		field.Under("mq.embedded", c.MQ.Embedded.Validate()),
		field.Under("mq.outbound", c.MQ.validateOutbound()),
		field.Under("mq.failure", c.MQ.validateFailure()),
		c.validateModes(),
		field.Under("mq.syncReceiver", c.validateSyncReceiver()),
		field.Under("mq.monitoring.messages.expiryListener", c.validateExpiry()),
		c.validateBounds(),
		c.validatePorts(),
		field.Under("grpc.server", c.GRPC.Server.Validate()),
		field.Under("grpc.client", c.GRPC.Client.Validate()),
		field.Under("routing", c.validateRouting()),
	)
}

// validateOutbound holds the defaults of sent messages against what the broker
// can do.
func (c MQConfig) validateOutbound() error {
	err := c.Outbound.Validate()
	if c.Outbound.Priority > 0 && c.Provider != RabbitMQ {
		err = errors.Join(err, field.Errorf("priority", "provider %s has no priorities", c.Provider))
	}
	return err
}

// validateConnection checks mq.connection.
func (c MQConfig) validateConnection() error {
	var errs []error
	connections := c.Connection.Connections
	switch {
	case c.Provider == Embedded && len(connections) > 0:
		errs = append(errs, field.Errorf("connections", "provider embedded is a broker of its own and takes no connections"))
	case c.Provider != Embedded && len(connections) == 0:
		errs = append(errs, field.Errorf("connections", "provider %s needs at least one connection, with hostname or uri", c.Provider))
	}
	for i, connection := range connections {
		path := fmt.Sprintf("connections[%d]", i)
		errs = append(errs, field.Under(path, c.validateEntry(connection)))
		if j := slices.IndexFunc(connections[:i], func(o mq.ConnectionConfig) bool { return reflect.DeepEqual(o, connection) }); j >= 0 {
			errs = append(errs, twin(path, fmt.Sprintf("mq.connection.connections[%d]", j), "the same as connections[%d]", j))
		}
	}
	errs = append(errs, c.validateReceiveQueues(), c.validateSendQueue())
	if c.Connection.ConfirmTimeout <= 0 {
		errs = append(errs, field.Errorf("confirmTimeout", "must be longer than 0"))
	}
	errs = append(errs, field.Under("health", c.Connection.Health.Validate()))
	return errors.Join(errs...)
}

func (c MQConfig) validateEntry(connection mq.ConnectionConfig) error {
	switch c.Provider {
	case RabbitMQ:
		return rabbitmq.ValidateConnection(connection)
	case NATS:
		return jetstream.ValidateConnection(connection)
	default:
		return nil
	}
}

// validateReceiveQueues checks the names of both lists, which share none.
func (c MQConfig) validateReceiveQueues() error {
	var errs []error
	first := map[string]string{}
	check := func(at, queue string) {
		switch {
		case queue == "":
			errs = append(errs, field.Errorf(at, "the name of the queue is empty"))
		case first[queue] != "":
			errs = append(errs, twin(at, "mq.connection."+first[queue], "queue %q is named twice, here and as %s", queue, first[queue]))
		case queue == c.Failure.DeadLetterQueue:
			errs = append(errs, twin(at, "mq.failure.deadLetterQueue", "queue %q is the dead letter queue, whose messages would come back for ever", queue))
		default:
			first[queue] = at
			errs = append(errs, c.validateReceiveQueue(at, queue))
		}
	}
	for i, queue := range c.Connection.ReceiveQueue {
		check(fmt.Sprintf("receiveQueue[%d]", i), queue)
	}
	for i, queue := range c.Connection.ReceiveQueueSync {
		check(fmt.Sprintf("receiveQueueSync[%d]", i), queue)
	}
	return errors.Join(errs...)
}

// validateReceiveQueue holds the length of a queue's name, and of that of its dead letter
// queue, against what the broker takes.
func (c MQConfig) validateReceiveQueue(at, queue string) error {
	if err := c.Provider.validateQueue(queue); err != nil {
		return field.Errorf(at, "%w", err)
	}
	if c.Failure.DeadLetterQueue != "" {
		return nil
	}
	if err := c.Provider.validateQueue(queue + ".DLQ"); err != nil {
		return field.Errorf(at, "its dead letters have no place: %w: set mq.failure.deadLetterQueue, or choose a shorter name", err)
	}
	return nil
}

// validateQueue tells why no queue of the provider's broker can have that name.
func (p Provider) validateQueue(name string) error {
	if p == RabbitMQ {
		return rabbitmq.ValidateQueue(name)
	}
	return jetstream.ValidateQueue(name)
}

func (c MQConfig) validateSendQueue() error {
	if c.Connection.SendQueue == "" {
		return nil
	}
	address, err := flow.ParseAddress(c.Connection.SendQueue)
	switch {
	case err != nil:
		return field.Errorf("sendQueue", "%w", err)
	case address.Exchange != "" && c.Provider != RabbitMQ:
		return field.Errorf("sendQueue", "provider %s has no exchanges", c.Provider)
	default:
		return nil
	}
}

func validateConsumer(c mq.ConsumerConfig) error {
	switch {
	case c.Concurrency < 0:
		return field.Errorf("concurrency", "%d is negative", c.Concurrency)
	case c.Prefetch < 0 || c.Prefetch > 65535:
		return field.Errorf("prefetch", "%d is not from 0 to 65535", c.Prefetch)
	case c.Prefetch < c.Concurrency:
		return field.Errorf("prefetch", "%d is less than the concurrency of %d, which would leave workers idle", c.Prefetch, c.Concurrency)
	default:
		return nil
	}
}

// validateBounds checks numbers that must be more than nothing.
func (c Config) validateBounds() error {
	return errors.Join(
		field.If(c.MQ.MaxMsgLength < 1, "mq.maxMsgLength", "must be more than 0"),
		field.If(c.Parser.XML.MaxDepth < 1, "parser.xml.maxDepth", "must be more than 0"),
		field.If(c.Parser.JSON.MaxDepth < 1, "parser.json.maxDepth", "must be more than 0"),
	)
}

// validateRouting compiles the rules, so that what can't work is found here.
func (c Config) validateRouting() error {
	if !c.CallsServices() && len(c.Routing.RouteList) == 0 {
		return nil
	}
	_, err := routing.New(c.Routing, c.RoutingOptions())
	return err
}

// advice is what is odd in a configuration that works.
func (c Config) advice() error {
	return errors.Join(c.adviceOnRules(), c.MQ.adviceOnManagers(), c.MQ.adviceOnDelays(), field.Under("mq.syncReceiver", c.adviceOnReplies()))
}

// adviceOnRules is what routing finds odd in rules that work.
func (c Config) adviceOnRules() error {
	if len(c.Routing.RouteList) == 0 {
		return nil
	}
	router, err := routing.New(c.Routing, c.RoutingOptions())
	if err != nil {
		return nil // Validate has said so.
	}
	return field.Under("routing", errors.Join(router.Warnings()...))
}

// RoutingOptions are what other blocks say to routing.
func (c Config) RoutingOptions() routing.Options {
	return routing.Options{
		TypeParser:   c.MQ.TypeParser,
		XMLMaxDepth:  c.Parser.XML.MaxDepth,
		JSONMaxDepth: c.Parser.JSON.MaxDepth,
		NeedAllowed:  c.GRPC.Client.Routing == "direct",
	}
}

// twin is a problem that another key has a part in; other is its whole path.
func twin(path, other, format string, args ...any) error {
	return &field.Error{Path: path, Offset: -1, Err: &tree.Twin{Other: other, Err: fmt.Errorf(format, args...)}}
}
