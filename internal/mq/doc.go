// Package mq is what the gateway knows of message brokers: the contract that a
// driver fulfils ([Broker], [Subscription]) and, above it, once for all
// brokers, the machinery: [Manager] keeps one broker connected and knows its
// state, [Listener] reads a queue and settles what it read, [Publisher] sends
// over the managers that are available.
//
// Drivers live in the folders below and have no retry loops and no logs; the
// suite in mqtest proves each of them on its real broker.
package mq
