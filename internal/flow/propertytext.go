package flow

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

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
