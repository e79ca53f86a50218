package mq

import (
	"time"

	"mqgateway/internal/secret"
)

// ConnectionConfig is one entry of mq.connection.connections: an address of a
// manager. Entries with the same manager are addresses of one broker.
type ConnectionConfig struct {
	// URI names address, user and virtual host at once: amqp://user:password@host:port/vhost,
	// or nats://host:port. It excludes hostname, port, virtualHost, username and password.
	URI secret.URI `yaml:"uri"`
	// Hostname is one host, or a list of hosts of the same manager.
	Hostname []string `yaml:"hostname"`
	// Port; default 5672 for RabbitMQ, 4222 for NATS.
	Port int `yaml:"port"`
	// VirtualHost of RabbitMQ; default "/".
	VirtualHost string `yaml:"virtualHost"`
	// Username and Password; default guest and guest for RabbitMQ, none for NATS.
	Username string        `yaml:"username"`
	Password secret.String `yaml:"password"`
	// Token authenticates to NATS instead of a user.
	Token secret.String `yaml:"token"`
	// QueueManager is the id of the manager. Default host:port/vhost.
	QueueManager string `yaml:"queueManager"`
	// Heartbeat is how often both sides of an idle connection prove that they live. Default 10s.
	Heartbeat time.Duration `yaml:"heartbeat"`
	// ConnectionName is shown by the broker's console. Default: the name of the instance.
	ConnectionName string `yaml:"connectionName"`
}

// ConsumerConfig is mq.consumerParams: how queues are read.
type ConsumerConfig struct {
	// Concurrency is the number of messages in work at once, for each queue and
	// manager. 0 means as many as prefetch. Default 64.
	Concurrency int `yaml:"concurrency"`
	// Prefetch is the number of messages taken ahead, for each queue and manager.
	// Default twice the concurrency.
	Prefetch int `yaml:"prefetch"`
	// ReadEnabled false pauses reading: what is in work is finished, and the rest stays in the
	// queues. Replies that callers wait for are read all the same. Default true.
	ReadEnabled bool `yaml:"readEnabled" reload:"yes"`
	// DisableManagerIDs are managers that are neither read, sent to nor checked.
	DisableManagerIDs []string `yaml:"disableManagerIds" reload:"yes" alias:"disabledManagerIds"`
	// Ordered keeps the order of a queue: one message at a time, retried in place. It
	// needs one manager, and one instance or a single active consumer. Default false.
	Ordered bool `yaml:"ordered"`
}

// FailureConfig is mq.failure: what becomes of messages that can't be handled.
type FailureConfig struct {
	// OnExhausted is what becomes of a message whose tries are used up: deadLetter,
	// reject (the broker's own dead-lettering), requeue or discard. Default deadLetter.
	OnExhausted FailureAction `yaml:"onExhausted" enum:"deadLetter,reject,requeue,discard"`
	// OnPermanent is what becomes of a message that no try would help. Default deadLetter.
	OnPermanent FailureAction `yaml:"onPermanent" enum:"deadLetter,reject,requeue,discard"`
	// DeadLetterQueue takes messages that failed for good. Default: the name of
	// their queue with .DLQ behind it.
	DeadLetterQueue string `yaml:"deadLetterQueue"`
	// Declare lets the gateway make missing dead letter and delay queues: true (quorum
	// queues), classic (dead letter queues only), or false. Default true.
	Declare string `yaml:"declare"`
	// Retry says how failures that may pass are retried.
	Retry RetryConfig `yaml:"retry"`
	// Brake pauses a queue of which nearly everything fails for good.
	Brake BrakeConfig `yaml:"brake"`
}

// FailureAction is what becomes of a message that is not tried any more.
type FailureAction string

// The actions. The empty one is DeadLetter.
const (
	// DeadLetter moves it to the dead letter queue, with the reason.
	DeadLetter FailureAction = "deadLetter"
	// RejectIt lets the broker's own dead-lettering apply.
	RejectIt FailureAction = "reject"
	// Requeue gives it back to its queue, after a pause.
	Requeue FailureAction = "requeue"
	// Discard drops it.
	Discard FailureAction = "discard"
)

// RetryConfig is an exponential backoff and its bounds.
type RetryConfig struct {
	// For is how long a message is retried, from its first failure. Default 1h.
	For time.Duration `yaml:"for"`
	// Attempts bounds the tries of a message, the first one counted. Default 0: they
	// are bounded by time alone.
	Attempts int `yaml:"attempts"`
	// Initial is the first pause. Default 200ms.
	Initial time.Duration `yaml:"initial"`
	// Max is the longest pause. Default 5m.
	Max time.Duration `yaml:"max"`
	// Multiplier makes each pause longer than the one before. Default 2.
	Multiplier float64 `yaml:"multiplier"`
	// Jitter is the share of a pause in place that is random. Default 0.2.
	Jitter float64 `yaml:"jitter"`
	// InPlaceMax bounds the pauses, in all, that a worker spends with one message in
	// hand; later ones the message spends outside of the gateway. Default 2s.
	InPlaceMax time.Duration `yaml:"inPlaceMax"`
	// MaxInFlightShare is the share of the workers of a queue that may be retrying in
	// place at once; at least one may. Default 0.5.
	MaxInFlightShare float64 `yaml:"maxInFlightShare"`
}

// BrakeConfig is mq.failure.brake: when the taking of messages from a queue pauses.
type BrakeConfig struct {
	// PermanentShare is the share of a queue's messages that have to fail for good.
	// Default 0.9.
	PermanentShare float64 `yaml:"permanentShare"`
	// MinMessages is the least number of messages that tells something. Default 20.
	MinMessages int `yaml:"minMessages"`
	// Window is the time over which they are counted. Default 30s.
	Window time.Duration `yaml:"window"`
	// Pause is how long no messages are handled then, before one is tried. 0 never
	// pauses. Default 30s.
	Pause time.Duration `yaml:"pause"`
}

// SyncReceiverConfig is mq.syncReceiver: how a provider gateway gets the replies of
// its synchronous requests.
type SyncReceiverConfig struct {
	// ReplyToMode is how replies come: SHARED_SINGLE, SHARED or SHARED_SELECTOR (a queue that all
	// instances share), UNIQUE (a reply queue for each instance) or DIRECT (RabbitMQ's direct
	// reply-to: no queue, lowest latency, at most once). Default SHARED_SINGLE.
	ReplyToMode string `yaml:"replyToMode" enum:"SHARED_SINGLE,SHARED,SHARED_SELECTOR,UNIQUE,DIRECT"`
	// DefaultReceiveQueue is the reply queue of requests that name none; in mode UNIQUE, which needs
	// it, it begins the names of reply queues.
	DefaultReceiveQueue string `yaml:"defaultReceiveQueue"`
	// AllowedReplyQueues are patterns of reply queues that requests may name (ReplyToQ) in the
	// shared modes, * for any run of characters. Default: defaultReceiveQueue; any when that is
	// not set either.
	AllowedReplyQueues []string `yaml:"allowedReplyQueues"`
	// SelectorName is the header that names the instance in mode SHARED_SELECTOR; replies have
	// to carry it back. Default GWResponseSelector.
	SelectorName string `yaml:"selectorName"`
	// DynamicQNameSeparator stands between DefaultReceiveQueue and the suffix of the
	// instance. Default ".DQ.".
	DynamicQNameSeparator string `yaml:"dynamicQNameSeparator"`
	// MaxProcessingTime bounds the wait for a reply, and the life of a request. Default 30s.
	MaxProcessingTime time.Duration `yaml:"maxProcessingTime"`
}

// MonitoringConfig is mq.monitoring.
type MonitoringConfig struct {
	// Messages are looked after in their queues.
	Messages MessagesConfig `yaml:"messages"`
}

// MessagesConfig is mq.monitoring.messages.
type MessagesConfig struct {
	// ExpiryListener removes old messages.
	ExpiryListener ExpiryConfig `yaml:"expiryListener"`
}

// ExpiryConfig is mq.monitoring.messages.expiry-listener: queues that messages are
// removed from when they are old.
type ExpiryConfig struct {
	// Enable removes them. Default false.
	Enable bool `yaml:"enable"`
	// Period is the time between two looks at a queue. Default 30s.
	Period time.Duration `yaml:"period"`
	// Threshold is the age, by the timestamp of a message, from which it is removed; also how long
	// replies stay in a queue of unclaimed ones. Default 5m.
	Threshold time.Duration `yaml:"threshold"`
	// Queues to look at. Messages without a timestamp stay.
	Queues []string `yaml:"queues"`
}
