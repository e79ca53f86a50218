package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"mqgateway/internal/field"
	"mqgateway/internal/flow"
	"mqgateway/internal/mq"
	"mqgateway/internal/mq/jetstream"
	"mqgateway/internal/mq/rabbitmq"
)

// The ways that replies come (mq.syncReceiver.replyToMode).
const (
	// ReplySharedSingle is a queue that all instances share; replies are expected on the
	// manager of the request.
	ReplySharedSingle = "SHARED_SINGLE"
	// ReplyShared is the same, but that replies are expected on every manager.
	ReplyShared = "SHARED"
	// ReplySharedSelector is as ReplyShared, and replies carry the name of their instance.
	ReplySharedSelector = "SHARED_SELECTOR"
	// ReplyUnique is a reply queue for each instance: [Config.ReplyQueue].
	ReplyUnique = "UNIQUE"
	// ReplyDirect is RabbitMQ's direct reply-to, without a queue
	// (https://www.rabbitmq.com/docs/direct-reply-to).
	ReplyDirect = "DIRECT"
)

// SharesReplies tells whether replies come by queues that all instances share.
func (c Config) SharesReplies() bool {
	return strings.HasPrefix(c.MQ.SyncReceiver.ReplyToMode, ReplyShared)
}

// ReplyQueue is the queue of this instance that its replies come by; empty where no
// synchronous requests are sent, and where replies come another way.
func (c Config) ReplyQueue() string {
	r := c.MQ.SyncReceiver
	if !c.ServesSync() || r.ReplyToMode != ReplyUnique || r.DefaultReceiveQueue == "" {
		return ""
	}
	return r.DefaultReceiveQueue + r.DynamicQNameSeparator + mq.Suffix(c.MQ.Instance)
}

// mostUniqueBytes is the longest name of a reply queue of one instance: AMQP carries 255,
// with .UNCLAIMED behind it.
const mostUniqueBytes = 255 - len(".UNCLAIMED")

// mostReplyNameBytes leaves room behind the name of a reply queue for .GW. and the tag of
// an instance.
const mostReplyNameBytes = 200

// AllowReplyQueue returns what tells why a request may not name a reply queue in the
// shared modes; it returns nil for one that may be named, and else an error of code
// BadMessage.
func (c Config) AllowReplyQueue() func(queue string) error {
	const key = "mq.syncReceiver.allowedReplyQueues"
	var patterns []flow.Pattern
	for _, p := range c.MQ.SyncReceiver.AllowedReplyQueues {
		patterns = append(patterns, flow.NewPattern(p))
	}
	all := len(patterns) == 0 && c.MQ.SyncReceiver.DefaultReceiveQueue == ""
	return func(queue string) error {
		matches := func(p flow.Pattern) bool { return p.Matches(queue) }
		switch why := c.unfitForReplies(queue); {
		case why != "":
			return flow.Errorf(flow.BadMessage, "ReplyToQ %.255q can't take replies: %s", queue, why)
		case !all && !slices.ContainsFunc(patterns, matches):
			return flow.Errorf(flow.BadMessage, "ReplyToQ %.255q is not among %s", queue, key)
		default:
			return nil
		}
	}
}

// unfitForReplies tells why a queue takes no replies whatever is allowed: its readers
// would take away what is others'.
func (c Config) unfitForReplies(queue string) string {
	connection := c.MQ.Connection
	address, err := flow.ParseAddress(queue)
	switch {
	case err != nil:
		return err.Error()
	case address.Exchange != "":
		return "it is an exchange"
	case len(queue) > mostReplyNameBytes:
		return fmt.Sprintf("its name has %d bytes, and may have %d", len(queue), mostReplyNameBytes)
	case strings.HasSuffix(queue, ".UNCLAIMED"), strings.HasSuffix(queue, ".DLQ"), strings.HasSuffix(queue, ".GW"),
		strings.Contains(queue, ".GW."), strings.Contains(queue, ".RETRY."), queue == c.MQ.Failure.DeadLetterQueue:
		return "it is a queue of the gateway's own"
	case queue == connection.SendQueue, slices.Contains(connection.ReceiveQueue, queue), slices.Contains(connection.ReceiveQueueSync, queue):
		return "it is a queue of the gateway's other messages"
	default:
		return ""
	}
}

// validateSyncReceiver checks how replies come, with paths below mq.syncReceiver. A
// gateway that is to serve no synchronous calls may leave there what it likes.
func (c Config) validateSyncReceiver() error {
	if c.MQ.SystemType != flow.Provider || c.MQ.WorkMode == flow.Async {
		return nil
	}
	errs := []error{c.validateReplyToMode()}
	if n := len(c.ReplyQueue()); n > mostUniqueBytes {
		errs = append(errs, field.Errorf("defaultReceiveQueue",
			"the name of the reply queue, made of this, dynamicQNameSeparator and mq.instance, has %d bytes, and may have %d", n, mostUniqueBytes))
	}
	if c.SharesReplies() {
		errs = append(errs, c.validateSharedReplies())
	}
	if c.MQ.SyncReceiver.MaxProcessingTime < time.Millisecond {
		errs = append(errs, field.Errorf("maxProcessingTime", "must be at least 1ms"))
	}
	return errors.Join(errs...)
}

func (c Config) validateReplyToMode() error {
	r := c.MQ.SyncReceiver
	switch {
	case r.ReplyToMode == ReplyDirect && c.MQ.Provider != RabbitMQ:
		return field.Errorf("replyToMode", "DIRECT is of RabbitMQ, and the provider is %s: set UNIQUE", c.MQ.Provider)
	case c.SharesReplies() && c.ServesSync() && !c.MQ.Provider.broadcasts():
		return field.Errorf("replyToMode", "%s needs instances that can be asked all at once, which provider %s has not: set UNIQUE", r.ReplyToMode, c.MQ.Provider)
	case r.ReplyToMode == ReplyUnique && r.DefaultReceiveQueue == "" && c.ServesSync():
		return field.Errorf("defaultReceiveQueue", "replyToMode UNIQUE needs it: it begins the names of reply queues")
	default:
		return nil
	}
}

// broadcasts tells whether a broker of the provider is a [mq.Broadcaster].
func (p Provider) broadcasts() bool {
	var broker mq.Broker = (*jetstream.Broker)(nil)
	if p == RabbitMQ {
		broker = (*rabbitmq.Broker)(nil)
	}
	_, ok := broker.(mq.Broadcaster)
	return ok
}

// validateSharedReplies checks what the shared modes look at.
func (c Config) validateSharedReplies() error {
	var errs []error
	r := c.MQ.SyncReceiver
	if r.DefaultReceiveQueue != "" {
		if why := c.unfitForReplies(r.DefaultReceiveQueue); why != "" {
			errs = append(errs, field.Errorf("defaultReceiveQueue", "queue %.255q can't take replies: %s", r.DefaultReceiveQueue, why))
		}
	}
	for i, pattern := range r.AllowedReplyQueues {
		if pattern == "" {
			errs = append(errs, field.Errorf(fmt.Sprintf("allowedReplyQueues[%d]", i), "an empty pattern matches nothing"))
		}
	}
	if r.ReplyToMode == ReplySharedSelector {
		switch h := (flow.Header{Name: r.SelectorName}); {
		case r.SelectorName == "" || len(r.SelectorName) > 128:
			errs = append(errs, field.Errorf("selectorName", "must have 1 to 128 bytes"))
		case h.Reserved():
			errs = append(errs, field.Errorf("selectorName", "header %q belongs to the broker or to the gateway", r.SelectorName))
		}
	}
	return errors.Join(errs...)
}

// adviceOnReplies finds a gateway that looks as if it served synchronous calls, and one
// whose callers may have any queue read, with paths below mq.syncReceiver.
func (c Config) adviceOnReplies() error {
	r := c.MQ.SyncReceiver
	switch {
	case c.MQ.SystemType == flow.Provider && c.MQ.WorkMode == flow.All && r.ReplyToMode == ReplyUnique && r.DefaultReceiveQueue == "":
		return field.Errorf("replyToMode", "synchronous calls are not served: UNIQUE needs defaultReceiveQueue")
	case c.ServesSync() && c.SharesReplies() && r.DefaultReceiveQueue == "" && len(r.AllowedReplyQueues) == 0:
		return field.Errorf("allowedReplyQueues", "neither this nor defaultReceiveQueue is set: a caller may have any queue read, and emptied, by naming it as ReplyToQ")
	default:
		return nil
	}
}

// validateExpiry checks mq.monitoring.messages.expiry-listener.
func (c Config) validateExpiry() error {
	e := c.MQ.Monitoring.Messages.ExpiryListener
	var errs []error
	if e.Threshold < time.Millisecond {
		errs = append(errs, field.Errorf("threshold", "must be at least 1ms"))
	}
	if e.Period < time.Second {
		errs = append(errs, field.Errorf("period", "must be at least 1s"))
	}
	for i, queue := range e.Queues {
		if queue == "" {
			errs = append(errs, field.Errorf(fmt.Sprintf("queues[%d]", i), "the name of the queue is empty"))
		}
	}
	if e.Enable && len(e.Queues) == 0 {
		errs = append(errs, field.Errorf("queues", "missing: no queue is looked at"))
	}
	return errors.Join(errs...)
}

// ExpiryQueues are the queues that old messages are removed from: those that are listed,
// but for reply queues that are read anyway.
func (c Config) ExpiryQueues() []string {
	e := c.MQ.Monitoring.Messages.ExpiryListener
	if !e.Enable {
		return nil
	}
	return slices.DeleteFunc(slices.Compact(slices.Sorted(slices.Values(e.Queues))), func(queue string) bool {
		return c.ServesSync() && (queue == c.ReplyQueue() || c.SharesReplies() && queue == c.MQ.SyncReceiver.DefaultReceiveQueue)
	})
}
