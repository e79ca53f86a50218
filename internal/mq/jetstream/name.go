package jetstream

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// Where queues live among the streams and subjects of a NATS account.
const (
	streamPrefix  = "MQ_"
	subjectPrefix = "mq."
	// Subjects of a queue beside its own: escape never writes a $.
	laterPrefix = subjectPrefix + "$later."
	duePrefix   = subjectPrefix + "$due."
	groupPrefix = subjectPrefix + "$group."
	// consumerName is the one durable consumer of each queue.
	consumerName = "gateway"
	// maxStreamName is the server's limit, and that of file names.
	maxStreamName = 255
)

// ValidateQueue tells why no queue can have that name.
func ValidateQueue(queue string) error {
	if queue == "" {
		return errors.New("the name of the queue is empty")
	}
	if n := len(streamName(queue)); n > maxStreamName {
		return fmt.Errorf("the name of queue %q takes %d characters as a stream, at most %d are allowed", queue, n, maxStreamName)
	}
	return nil
}

// streamName is the stream of a queue.
func streamName(queue string) string { return streamPrefix + escape(queue, false) }

// subjectName is the subject that a queue takes messages from.
func subjectName(queue string) string { return subjectPrefix + escape(queue, true) }

// laterSubjects are those that messages are held back on, each on one of its own.
func laterSubjects(queue string) string { return laterPrefix + escape(queue, false) + ".*" }

// dueSubject is where messages come to that were held back.
func dueSubject(queue string) string { return duePrefix + escape(queue, false) }

// memberSubject marks the stream of a queue as one of a group. Nothing is published there.
func memberSubject(group, queue string) string {
	return groupPrefix + escape(group, false) + "." + escape(queue, false)
}

// memberSubjects are those of all queues of a group.
func memberSubjects(group string) string { return groupPrefix + escape(group, false) + ".*" }

// escape writes all but letters, digits, - and _ as = and two digits. With dots,
// those that separate subject tokens stay, too.
func escape(queue string, dots bool) string {
	var b strings.Builder
	b.Grow(len(queue) + 8)
	for i := range len(queue) {
		switch c := queue[i]; {
		case isPlain(c), dots && separates(queue, i):
			b.WriteByte(c)
		default:
			const digits = "0123456789ABCDEF"
			b.Write([]byte{'=', digits[c>>4], digits[c&15]})
		}
	}
	return b.String()
}

func isPlain(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_'
}

// separates tells that queue[i] is a dot between two tokens that are not empty.
func separates(queue string, i int) bool {
	return queue[i] == '.' && i > 0 && i < len(queue)-1 && queue[i-1] != '.' && queue[i+1] != '.'
}

// queueName is the inverse of streamName. It is false for a stream that is no queue.
func queueName(stream string) (string, bool) {
	escaped, ok := strings.CutPrefix(stream, streamPrefix)
	if !ok {
		return "", false
	}
	queue, ok := unescape(escaped)
	return queue, ok && escape(queue, false) == escaped
}

func unescape(escaped string) (string, bool) {
	var b strings.Builder
	for {
		plain, rest, found := strings.Cut(escaped, "=")
		b.WriteString(plain)
		if !found {
			return b.String(), true
		}
		if len(rest) < 2 {
			return "", false
		}
		c, err := hex.DecodeString(rest[:2])
		if err != nil {
			return "", false
		}
		b.Write(c)
		escaped = rest[2:]
	}
}
