// Package mapping turns a broker's message into the one that microservices see,
// and back: [Text] makes its body UTF-8 text, [ToProto] makes a ProtoMessage of
// it, and [Outbound] makes a broker's message of a ProtoMessage and decides
// where it goes. Which property has which name and text form is the table
// [flow.Properties]; a message that does not fit the rules of brokers is refused
// here (606), before it can harm a connection that others share.
package mapping
