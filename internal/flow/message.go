package flow

import "time"

// Message is one message on its way through the gateway: typed properties,
// user headers and the body.
//
// A handler may replace fields of the message that it was given, but never
// writes through its slices, maps and pointers: a source that needs the
// original later (for a dead letter) hands on a shallow copy.
type Message struct {
	// ID is the message id (MsgId). Sources make one when the sender set none,
	// and say so in IDMade.
	ID string
	// IDMade tells that the gateway made ID: the sender set none.
	IDMade bool
	// CorrelID is the correlation id (CorrelId).
	CorrelID string
	// ReplyTo is the address for replies (ReplyToQ), in the form of [Address].
	ReplyTo string
	// ReplyToManager is the id of the manager that ReplyTo is on (ReplyToQMgr).
	ReplyToManager string
	// Expiry is the life of the message as its sender set it; 0 is for ever.
	Expiry time.Duration
	// Priority is 0 to 255; 0 is not set.
	Priority uint8
	// Persistence is 1 for non-persistent, 2 for persistent, 0 for not set.
	Persistence Persistence
	// Type is the MQ message type: request, reply, report, datagram; 0 is not set.
	Type MessageType
	// JMSType is the application's own type name (JMSType, AMQP type).
	JMSType string
	// Timestamp is when the sender put the message; zero is not set.
	Timestamp time.Time
	// UserID is the user that the broker authenticated (UserIdentifier).
	UserID string
	// AppID names the sending application (PutApplName).
	AppID string
	// ContentType is the MIME type of Body, a charset parameter included.
	ContentType string
	// ContentEncoding is the compression of Body: gzip, deflate or empty.
	ContentEncoding string

	// Headers are the application's headers in their wire types, in no
	// particular order. A driver keeps the broker's own headers among them.
	Headers []Header
	// Body is what the sender sent; after mapping's text step it is UTF-8 text.
	Body []byte

	// Source tells where the message was read; its zero value is a message
	// that came by a call.
	Source Source
	// Call holds what an incoming call carried beside the message; nil for a
	// message read from a queue.
	Call *Call
	// Route is where the router sends the message; it is written by the
	// router, so that middleware outside can read it afterwards.
	Route Route
	// To is where an outgoing message goes; mapping decides it.
	To Address
	// Away is how long the message was out of the gateway's hands: in calls of
	// services, waiting for confirms, pausing between tries. Whoever waits adds to
	// it, so that middleware outside can tell the gateway's own time.
	Away time.Duration
	// Attempts counts the tries of a consumed message that failed before this one.
	Attempts int
}

// Persistence tells whether a message survives a restart of its broker.
type Persistence uint8

// The values of Persistence, as AMQP and JMS number them.
const (
	NonPersistent Persistence = 1
	Persistent    Persistence = 2
)

// MessageType is the MQ message type.
type MessageType uint8

// The message types, as MQMD numbers them.
const (
	Request  MessageType = 1
	Reply    MessageType = 2
	Report   MessageType = 4
	Datagram MessageType = 8
)

// Source is where a message was read.
type Source struct {
	// Queue is the name of the queue.
	Queue string
	// Manager is the id of the broker.
	Manager string
	// Exchange and RoutingKey are those that the sender published to.
	Exchange, RoutingKey string
	// Redelivered is false when the broker never delivered the message before.
	Redelivered bool
	// Delayed tells that the gateway had the broker hold the message back before it
	// was delivered here: its headers of the gateway can be trusted.
	Delayed bool
	// Deliveries counts earlier deliveries, as far as the broker tells.
	Deliveries int
}

// Call is what an incoming gRPC or HTTP call carried beside the message.
type Call struct {
	// Authority is :authority, or Host.
	Authority string
	// Metadata are the headers of the call, by lower-case name.
	Metadata map[string][]string
}

// Value returns the first value of the metadata key, which is lower case.
func (c *Call) Value(key string) string {
	if c == nil {
		return ""
	}
	if v := c.Metadata[key]; len(v) > 0 {
		return v[0]
	}
	return ""
}

// Route is where the router sends a message.
type Route struct {
	// Name is the entry of routing.routeList that was used.
	Name string
	// Destination is the authority of the service, or the URL for HTTP.
	Destination string
	// Transport is grpc or http.
	Transport string
}
