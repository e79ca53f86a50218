// Package rabbitmq is the driver for RabbitMQ (AMQP 0.9.1) behind the contract
// of package mq.
//
// A [Broker] has two connections, dialled when they are needed: one to read
// queues and one to publish, so that a broker that is short of memory and stops
// its publishers never stops the acknowledgements. What belongs to a connection
// ends with it: a delivery is settled on the channel that it came by or not at
// all. Whatever the author of a message can put in it is checked before the
// client library sees it, because the answer to a bad frame is the end of a
// channel, or a connection, that other messages share.
//
// An inbox ([Broker.OpenInbox]) is RabbitMQ's direct reply-to. A reply to such an
// address comes at most once: Publish is nil when the broker has it, whether or
// not somebody waits for it still.
package rabbitmq
