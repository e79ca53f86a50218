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
// A queue that was declared with TTL or Expires keeps each message no longer than
// that, read or not. Once a queue with Expires had no reader for so long, the server
// takes its consumer away, and the next one who declares such a queue, of any name,
// the queue itself.
//
// A message that is held back ([mq.Delayer]) is a schedule of the server
// (https://github.com/nats-io/nats-architecture-and-design/blob/main/adr/ADR-51.md)
// in the stream of its queue, on a subject of its own, mq.$later.orders=2Ein.<unique>.
// When it is due the server puts it on mq.$due.orders=2Ein of the same stream,
// which the consumer reads beside the queue's own subject: no process of ours has to
// run. It comes a moment late and never early, does not grow too old for its queue
// meanwhile, and can come twice when the server dies just then. A server that had no
// room for a message when it was due is reminded by the readers of the queue, a minute
// later. The first message that is held back changes the consumer and the stream for
// all that, and the stream should get no limits afterwards: it would drop its oldest
// messages. There is [mq.ErrNoDelay] instead
//   - where our user may not change them, and with NATS before 2.12;
//   - for a stream with limits that refuses what exceeds them (discard: new): with
//     schedules the server would drop the oldest messages in place of that;
//   - for a stream that keeps what consumers want (retention: interest).
//
// Programs that may publish to mq.orders.in, and not to mq.>, can't make a message look
// as if it had been held back. But a stream with schedules heeds the header Nats-Rollup:
// whoever may publish to a queue may then empty it.
//
// A queue of a group ([mq.Broadcaster]) has a subject more, mq.$group.<group>.<queue>,
// by which the server finds the streams of the group. It is asked for each broadcast,
// and each queue gets a copy on its own subject.
//
// Counting and purging ([mq.Admin]) leave alone what is held back and what somebody has
// in hand. The server counts both messages in hand and those that were given back as
// unsettled, so that readers are asked what they have, on
// _INBOX.mq-held.<queue>; without the permission to publish there and to answer
// (_INBOX.>), messages in hand are counted, too. A purge takes messages as a reader does,
// since the server's own purge of a stream would remove all others with them.
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
