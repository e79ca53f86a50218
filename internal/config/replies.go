package config

import (
	"errors"
	"regexp"
	"time"

	"mqgateway/internal/field"
	"mqgateway/internal/flow"
)

// The ways that replies come (mq.syncReceiver.replyToMode).
const (
	// ReplyUnique is a reply queue for each instance: [Config.ReplyQueue].
	ReplyUnique = "UNIQUE"
	// ReplyDirect is RabbitMQ's direct reply-to, without a queue
	// (https://www.rabbitmq.com/docs/direct-reply-to).
	ReplyDirect = "DIRECT"
)

// ReplyQueue is the queue that the replies for this instance come by; empty where no
// synchronous requests are sent, and where replies need no queue.
func (c Config) ReplyQueue() string {
	r := c.MQ.SyncReceiver
	if !c.ServesSync() || r.ReplyToMode != ReplyUnique || r.DefaultReceiveQueue == "" {
		return ""
	}
	return r.DefaultReceiveQueue + r.DynamicQNameSeparator + replySuffix(c.MQ.Instance)
}

// podOfDeployment ends like the name of a Deployment's pod: the hash of the ReplicaSet, then
// five letters or digits of the pod's own.
var podOfDeployment = regexp.MustCompile(`-([A-Za-z0-9]{8,10})-([A-Za-z0-9]{5})$`)

// replySuffix tells the reply queues of instances apart, by no more than is needed.
func replySuffix(instance string) string {
	if m := podOfDeployment.FindStringSubmatch(instance); m != nil {
		return m[1] + "." + m[2]
	}
	return instance
}

// mostNameBytes is the longest name of a queue that AMQP can carry.
const mostNameBytes = 255

// validateSyncReceiver checks how replies come, with paths below mq.syncReceiver. A
// gateway that is to serve no synchronous calls may leave there what it likes.
func (c Config) validateSyncReceiver() error {
	if c.MQ.SystemType != flow.Provider || c.MQ.WorkMode == flow.Async {
		return nil
	}
	errs := []error{c.validateReplyToMode()}
	if n := len(c.ReplyQueue()); n > mostNameBytes {
		errs = append(errs, field.Errorf("defaultReceiveQueue",
			"the name of the reply queue, made of this, dynamicQNameSeparator and mq.instance, has %d bytes, and may have %d", n, mostNameBytes))
	}
	if c.MQ.SyncReceiver.MaxProcessingTime < time.Millisecond {
		errs = append(errs, field.Errorf("maxProcessingTime", "must be at least 1ms"))
	}
	return errors.Join(errs...)
}

func (c Config) validateReplyToMode() error {
	const remedy = "set UNIQUE (a reply queue for each instance) or, with provider rabbitmq, DIRECT (direct reply-to)"
	r := c.MQ.SyncReceiver
	switch {
	case r.ReplyToMode == "" && !c.ServesSync():
		return nil
	case r.ReplyToMode == "":
		return field.Errorf("replyToMode", "not set, it is SHARED_SINGLE, which is not part of this version: %s", remedy)
	case r.ReplyToMode == ReplyDirect && c.MQ.Provider != RabbitMQ:
		return field.Errorf("replyToMode", "DIRECT is of RabbitMQ, and the provider is %s: set UNIQUE", c.MQ.Provider)
	case r.ReplyToMode == ReplyUnique && r.DefaultReceiveQueue == "" && c.ServesSync():
		return field.Errorf("defaultReceiveQueue", "replyToMode UNIQUE needs it: it begins the names of reply queues")
	case r.ReplyToMode == ReplyUnique, r.ReplyToMode == ReplyDirect:
		return nil
	default:
		return field.Errorf("replyToMode", "%s is not part of this version: %s", r.ReplyToMode, remedy)
	}
}

// adviceOnReplies finds a gateway that looks as if it served synchronous calls, with
// paths below mq.syncReceiver.
func (c Config) adviceOnReplies() error {
	r := c.MQ.SyncReceiver
	if c.MQ.SystemType == flow.Provider && c.MQ.WorkMode == flow.All && r.ReplyToMode == ReplyUnique && r.DefaultReceiveQueue == "" {
		return field.Errorf("replyToMode", "synchronous calls are not served: UNIQUE needs defaultReceiveQueue")
	}
	return nil
}
