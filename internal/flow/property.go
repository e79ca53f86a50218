package flow

import (
	"strconv"
	"strings"
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
