package mq

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"mqgateway/internal/flow"
)

// Headers that RabbitMQ adds to messages that it has dead-lettered itself, or
// delivered (https://www.rabbitmq.com/docs/dlx#effects).
const (
	headerDeath         = "x-death"
	headerAcquiredCount = "x-acquired-count"
	prefixFirstDeath    = "x-first-death-"
	prefixLastDeath     = "x-last-death-"
)

// Letter is a dead letter: one that a gateway wrote, or that RabbitMQ moved here
// by a queue's own dead-lettering.
type Letter struct {
	// Message is what lies in the dead letter queue.
	Message flow.Message
	// Code is why the message failed; 0 when no gateway wrote the letter.
	Code flow.Code
	// Reason is the text of the error, or what RabbitMQ calls the reason.
	Reason string
	// Queue is where the message was read before it failed; empty when nothing tells.
	Queue string
	// Route is the entry of the routes that was used; empty when none was found.
	Route string
	// FailedAt is zero when nothing tells.
	FailedAt time.Time
	// Attempts counts the tries; 0 when nothing tells.
	Attempts int
	// Instance is the process that wrote the letter.
	Instance string
	// Cut names headers of the message that the letter could not hold.
	Cut []string

	place int // in the held letters of its Letters
}

// ReadLetter reads a message of a dead letter queue.
func ReadLetter(aside flow.Message) Letter {
	_, notes := takeBack(&aside)
	l := Letter{
		Message: aside, Reason: notes[headerError], Queue: notes[headerSourceQueue], Route: notes[headerRoute], Instance: notes[headerInstance],
	}
	if code, err := strconv.Atoi(notes[headerErrorCode]); err == nil {
		l.Code = flow.Code(code)
	}
	l.FailedAt, _ = time.Parse(time.RFC3339Nano, notes[headerFailedAt])
	l.Attempts, _ = strconv.Atoi(notes[headerAttempts])
	if cut := textOf(aside.Headers, headerCut); cut != "" {
		for name := range strings.SplitSeq(cut, ",") {
			l.Cut = append(l.Cut, strings.TrimSpace(name))
		}
	}
	if l.Queue == "" {
		l.readDeath()
	}
	return l
}

// readDeath takes what RabbitMQ wrote about the last time that it dead-lettered
// the message.
func (l *Letter) readDeath() {
	death := lastDeath(l.Message.Headers)
	l.Queue, _ = death["queue"].(string)
	l.Reason, _ = death["reason"].(string)
	if at, ok := death["time"].(time.Time); ok {
		l.FailedAt = at.UTC()
	}
}

// lastDeath is nil for a message that RabbitMQ has not dead-lettered.
func lastDeath(headers []flow.Header) map[string]any {
	for _, h := range headers {
		if deaths, ok := h.Value.([]any); ok && h.Name == headerDeath && len(deaths) > 0 {
			death, _ := deaths[0].(map[string]any)
			return death
		}
	}
	return nil
}

func textOf(headers []flow.Header, name string) string {
	for _, h := range headers {
		if h.Name == name {
			return h.Text()
		}
	}
	return ""
}

// Original makes the message that failed, to be published again. What its sender
// could not publish again is left out: copies to other queues, the user, traces
// of the broker. The id that a gateway made for it stays, with its mark.
func (l *Letter) Original() flow.Message {
	m, _ := takeBack(&l.Message)
	m.Headers = slices.DeleteFunc(m.Headers, func(h flow.Header) bool { return harmful(h.Name) || ofBroker(h.Name) })
	if m.IDMade {
		m.Headers = append(m.Headers, flow.Header{Name: headerIDMade, Value: "true"})
	}
	m.UserID = ""
	if death := lastDeath(l.Message.Headers); m.Expiry == 0 && death != nil {
		text, _ := death["original-expiration"].(string)
		m.Expiry = milliseconds(text)
	}
	return m
}

// takeMark reads the mark of an id that a gateway made, which a replayed message
// carries: to the sender of a request the id says nothing. Who sets the mark itself is
// answered by its own CorrelId.
func takeMark(m *flow.Message) {
	i := slices.IndexFunc(m.Headers, func(h flow.Header) bool { return h.Name == headerIDMade })
	if i < 0 {
		return
	}
	m.IDMade = m.ID != ""
	m.Headers = slices.Delete(slices.Clone(m.Headers), i, i+1)
}

// ofBroker tells headers that RabbitMQ adds on its way to the reader.
func ofBroker(name string) bool {
	return name == headerDeliveryCount || name == headerAcquiredCount ||
		strings.HasPrefix(name, prefixFirstDeath) || strings.HasPrefix(name, prefixLastDeath)
}

// milliseconds is 0 for a text that is no number of them.
func milliseconds(text string) time.Duration {
	ms, err := strconv.ParseUint(text, 10, 32)
	if err != nil {
		return 0
	}
	return time.Duration(ms) * time.Millisecond
}
