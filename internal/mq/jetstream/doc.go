// Package jetstream is the driver for NATS JetStream (https://docs.nats.io/nats-concepts/jetstream)
// and the broker inside the process: the same server, in memory of ours, with
// its messages in files. [Open] reaches an external server, [StartServer] and
// [Server.Open] the embedded one.
//
// A queue "orders.in" is the stream MQ_orders=2Ein with work queue retention on
// the subject mq.orders.in, and one durable consumer that all readers share.
// Letters, digits, - and _ stand for themselves, any other byte is = and two
// hexadecimal digits; in subjects, single dots between other characters stay.
// Properties and headers travel in one header, MQ-Envelope; a message without
// it, of some other NATS client, is its body and its plain headers.
//
// What differs from other brokers:
//   - a rejected message is gone: there is no dead-lettering by the broker;
//   - every delivery counts, a returned one, too;
//   - there are no exchanges, no priorities, and both kinds of queue are the same;
//   - a message that is given back may come after ones that were behind it;
//   - an ack is not answered: one that is lost with its connection means that
//     its message comes again; Close waits until the server has all of them;
//   - an expired message is dropped by the server at the next whole second, or by the
//     driver when it comes before that; nobody counts it;
//   - connections are never resumed: what was delivered on a lost one is stale,
//     although the server would take its ack, and is given back by the next
//     Subscribe to its queue, or after the consumer's ack wait.
//
// A queue that was declared with Expires keeps each message no longer than that,
// read or not. Once it had no reader for so long, the server takes its consumer away,
// and the next one who declares such a queue, of any name, the queue itself.
//
// There are no inboxes ([mq.Inboxer]): a reply by plain NATS would pass neither the
// queues nor the programs that know them, so that reply queues serve instead.
// Configuration refuses the reply mode DIRECT.
//
// The embedded server forces each message to disk before it accepts it
// ([EmbeddedConfig].Sync), one after the other in each queue, so that the disk
// decides how many messages a second a queue takes.
//
// A user with limited permissions has to be allowed to publish to mq.>,
// $JS.API.> and $JS.ACK.>, and to subscribe to _INBOX.>.
package jetstream
