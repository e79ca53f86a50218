package flow

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Property is a system header: one typed property of a message, with its names
// and its text form. The table of properties serves every direction: system
// headers of ProtoMessage, routing rules and expressions.
type Property struct {
	// Name is the canonical name, which is written.
	Name string
	// Aliases are accepted on reading; like Name, without case.
	Aliases []string
	// ReadOnly properties are ignored when somebody writes them.
	ReadOnly bool
	// Text returns the text form; empty when the property is not set.
	Text func(m *Message) string
	// Set parses a text form into the message; nil for a ReadOnly property. The
	// error names what is allowed, not the property.
	Set func(m *Message, text string) error
}

// Properties is the table, in the order in which they are written. It must not
// be changed.
var Properties = []Property{
	{
		Name: "MsgId", Aliases: []string{"JMSMessageID", "messageId"},
		Text: func(m *Message) string { return m.ID },
		Set:  func(m *Message, s string) error { m.ID = s; return nil },
	},
	{
		Name: "CorrelId", Aliases: []string{"JMSCorrelationID", "correlationId"},
		Text: func(m *Message) string { return m.CorrelID },
		Set:  func(m *Message, s string) error { m.CorrelID = s; return nil },
	},
	{
		Name: "ReplyToQ", Aliases: []string{"JMSReplyTo", "replyTo"},
		Text: replyTo,
		Set:  setReplyTo,
	},
	{
		Name: "ReplyToQMgr", Aliases: []string{"replyToManager"},
		Text: replyToManager,
		Set:  func(m *Message, s string) error { m.ReplyToManager = s; return nil },
	},
	{
		Name: "Expiry", Aliases: []string{"expiration"},
		Text: func(m *Message) string { return decimal(m.Expiry.Milliseconds()) },
		Set:  setExpiry,
	},
	{
		Name: "Priority", Aliases: []string{"JMSPriority"},
		Text: func(m *Message) string { return decimal(int64(m.Priority)) },
		Set:  setPriority,
	},
	{
		Name: "Persistence", Aliases: []string{"JMSDeliveryMode", "deliveryMode"},
		Text: func(m *Message) string { return decimal(int64(m.Persistence)) },
		Set:  setPersistence,
	},
	{
		Name: "MsgType",
		Text: func(m *Message) string { return decimal(int64(MessageTypeOf(m))) },
		Set:  setMessageType,
	},
	{
		Name: "Type", Aliases: []string{"JMSType"},
		Text: func(m *Message) string { return m.JMSType },
		Set:  func(m *Message, s string) error { m.JMSType = s; return nil },
	},
	{
		Name: "PutDateTime", Aliases: []string{"JMSTimestamp", "timestamp"},
		Text: putDateTime,
		Set:  setPutDateTime,
	},
	{
		Name: "UserIdentifier", Aliases: []string{"JMSXUserID", "userId"},
		Text: func(m *Message) string { return m.UserID },
		Set:  func(m *Message, s string) error { m.UserID = s; return nil },
	},
	{
		Name: "PutApplName", Aliases: []string{"JMSXAppID", "appId"},
		Text: func(m *Message) string { return m.AppID },
		Set:  func(m *Message, s string) error { m.AppID = s; return nil },
	},
	{
		Name: "ContentType", Aliases: []string{"Format"},
		Text: func(m *Message) string { return m.ContentType },
		Set:  func(m *Message, s string) error { m.ContentType = s; return nil },
	},
	{
		Name: "ContentEncoding",
		Text: func(m *Message) string { return m.ContentEncoding },
		Set:  func(m *Message, s string) error { m.ContentEncoding = s; return nil },
	},
	{
		Name: "BackoutCount", Aliases: []string{"JMSXDeliveryCount", "deliveryCount"}, ReadOnly: true,
		Text: fromQueue(func(m *Message) string { return strconv.Itoa(m.Source.Deliveries) }),
	},
	{
		Name: "Redelivered", Aliases: []string{"JMSRedelivered"}, ReadOnly: true,
		Text: fromQueue(func(m *Message) string { return strconv.FormatBool(m.Source.Redelivered) }),
	},
	{
		Name: "SourceQueue", ReadOnly: true,
		Text: func(m *Message) string { return m.Source.Queue },
	},
	{
		Name: "SourceManager", ReadOnly: true,
		Text: func(m *Message) string { return m.Source.Manager },
	},
	{
		Name: "Exchange", ReadOnly: true,
		Text: func(m *Message) string { return m.Source.Exchange },
	},
	{
		Name: "RoutingKey", ReadOnly: true,
		Text: func(m *Message) string { return m.Source.RoutingKey },
	},
}

// expirationTime is JMSExpiration: the instant at which the life of the message
// ends, in ms since the epoch. It is no name of the table, since nothing writes it.
var expirationTime = Property{
	Name: "JMSExpiration",
	Text: func(m *Message) string {
		if m.Expiry <= 0 || m.Timestamp.IsZero() {
			return ""
		}
		return decimal(m.Timestamp.Add(m.Expiry).UnixMilli())
	},
	Set: setExpirationTime,
}

// propertyByName has every name and alias as it is written in the table, so that
// those are found without changing their case, and in lower case.
var propertyByName = func() map[string]*Property {
	byName := map[string]*Property{}
	add := func(p *Property, name string) {
		byName[name] = p
		byName[strings.ToLower(name)] = p
	}
	add(&expirationTime, expirationTime.Name)
	for i := range Properties {
		p := &Properties[i]
		add(p, p.Name)
		for _, alias := range p.Aliases {
			add(p, alias)
		}
	}
	return byName
}()

// foreignProperties are MQMD names that no broker here has a counterpart for.
var foreignProperties = map[string]bool{
	"accountingtoken": true, "applidentitydata": true, "applorigindata": true, "codedcharsetid": true,
	"encoding": true, "feedback": true, "groupid": true, "msgflags": true, "msgseqnumber": true,
	"offset": true, "originallength": true, "putappltype": true, "putdate": true, "puttime": true,
	"report": true, "strucid": true, "version": true,
}

// PropertyByName finds a property by its name or an alias, without case.
func PropertyByName(name string) (*Property, bool) {
	if p, ok := propertyByName[name]; ok {
		return p, true
	}
	p, ok := propertyByName[strings.ToLower(name)]
	return p, ok
}

// PropertyNames are the names of all properties, aliases included.
func PropertyNames() []string {
	var names []string
	for _, p := range Properties {
		names = append(append(names, p.Name), p.Aliases...)
	}
	return names
}

// ForeignProperty tells that name, without case, is an MQMD field with no
// counterpart here: it is known, but never has a value.
func ForeignProperty(name string) bool { return foreignProperties[strings.ToLower(name)] }

// decimal writes a number that 0 stands for "not set" in.
func decimal(n int64) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatInt(n, 10)
}

// fromQueue is for properties that only a message read from a queue has.
func fromQueue(text func(*Message) string) func(*Message) string {
	return func(m *Message) string {
		if m.Source.Queue == "" {
			return ""
		}
		return text(m)
	}
}

// MessageTypeOf is the type as it was set, else, for a message read from a
// queue, as MQ clients would guess it; 0 is not known.
func MessageTypeOf(m *Message) MessageType {
	switch {
	case m.Type != 0:
		return m.Type
	case m.Source.Queue == "":
		return 0
	case m.ReplyTo != "":
		return Request
	default:
		return Datagram
	}
}

// replyTo is the queue alone where the sender wrote the JMS form.
func replyTo(m *Message) string {
	if _, queue, ok := cutJMSQueue(m.ReplyTo); ok {
		return queue
	}
	return m.ReplyTo
}

// replyToManager is the manager that the JMS form of the address names, else
// the one that was read from, when the sender named none.
func replyToManager(m *Message) string {
	if m.ReplyToManager != "" || m.ReplyTo == "" {
		return m.ReplyToManager
	}
	if manager, _, ok := cutJMSQueue(m.ReplyTo); ok && manager != "" {
		return manager
	}
	return m.Source.Manager
}

// jmsQueuePrefix begins the address of a queue as JMS clients of MQ write it.
const jmsQueuePrefix = "queue://"

// cutJMSQueue takes queue://manager/queue?options apart; the manager may be empty.
func cutJMSQueue(text string) (manager, queue string, ok bool) {
	rest, ok := strings.CutPrefix(text, jmsQueuePrefix)
	if !ok {
		return "", "", false
	}
	manager, queue, _ = strings.Cut(rest, "/")
	queue, _, _ = strings.Cut(queue, "?")
	return manager, queue, queue != ""
}

// setReplyTo understands the JMS form queue://manager/queue, too.
func setReplyTo(m *Message, text string) error {
	if !strings.HasPrefix(text, jmsQueuePrefix) {
		m.ReplyTo = text
		return nil
	}
	manager, queue, ok := cutJMSQueue(text)
	if !ok {
		return fmt.Errorf("%q is not of the form queue://<manager>/<queue>", text)
	}
	m.ReplyTo = queue
	if manager != "" {
		m.ReplyToManager = manager
	}
	return nil
}

// setExpiry takes ms of life; 0 and -1 mean for ever, as in MQMD and JMS.
func setExpiry(m *Message, text string) error {
	ms, err := strconv.ParseInt(text, 10, 64)
	if err != nil || ms < -1 || ms > MaxExpiry.Milliseconds() {
		return fmt.Errorf("%q is not a whole number of milliseconds from -1 to %d", text, MaxExpiry.Milliseconds())
	}
	m.Expiry = time.Duration(max(ms, 0)) * time.Millisecond
	return nil
}

// MaxExpiry is the longest life of a message: what RabbitMQ's timers take
// (2^32-1 ms, https://www.rabbitmq.com/docs/ttl).
const MaxExpiry = (1<<32 - 1) * time.Millisecond

// setExpirationTime turns an instant into a life from now on.
func setExpirationTime(m *Message, text string) error {
	ms, err := strconv.ParseInt(text, 10, 64)
	if err != nil || ms < 0 {
		return fmt.Errorf("%q is not a time in milliseconds since 1970", text)
	}
	if ms == 0 {
		m.Expiry = 0
		return nil
	}
	m.Expiry = min(max(time.Until(time.UnixMilli(ms)).Truncate(time.Millisecond), time.Millisecond), MaxExpiry)
	return nil
}

func setPriority(m *Message, text string) error {
	n, err := strconv.ParseUint(text, 10, 8)
	if err != nil {
		return fmt.Errorf("%q is not a number from 0 to 255", text)
	}
	m.Priority = uint8(n)
	return nil
}

func setPersistence(m *Message, text string) error {
	switch text {
	case "0":
		m.Persistence = 0
	case "1":
		m.Persistence = NonPersistent
	case "2":
		m.Persistence = Persistent
	default:
		return fmt.Errorf("%q is neither 1 (non-persistent) nor 2 (persistent)", text)
	}
	return nil
}

func setMessageType(m *Message, text string) error {
	switch text {
	case "0":
		m.Type = 0
	case "1", "2", "4", "8":
		m.Type = MessageType(text[0] - '0')
	default:
		return fmt.Errorf("%q is none of 1 (request), 2 (reply), 4 (report), 8 (datagram)", text)
	}
	return nil
}

func putDateTime(m *Message) string {
	if m.Timestamp.IsZero() {
		return ""
	}
	return m.Timestamp.UTC().Format(time.RFC3339)
}

// setPutDateTime takes RFC 3339, and the ms since 1970 of JMSTimestamp.
func setPutDateTime(m *Message, text string) error {
	if ms, err := strconv.ParseInt(text, 10, 64); err == nil {
		m.Timestamp = time.UnixMilli(ms).UTC()
		return nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return fmt.Errorf("%q is neither a time of RFC 3339 nor milliseconds since 1970", text)
	}
	m.Timestamp = at
	return nil
}
