package rabbitmq

import (
	"slices"
	"strconv"
	"strings"

	"mqgateway/internal/flow"
)

// delayInfix stands between the name of a source queue and the delay.
const delayInfix = ".RETRY."

// What the broker writes into messages that it moves between queues
// (https://www.rabbitmq.com/docs/dlx#effects).
const (
	headerDeath      = "x-death"
	headerFirstDeath = "x-first-death-"
	headerLastDeath  = "x-last-death-"
)

// Headers of a message that is held back: where it was published to first and by whom, and
// under another name what the broker would act upon or write over.
const (
	headerParked     = "x-gateway-parked-"
	headerExchange   = headerParked + "exchange"
	headerRoutingKey = headerParked + "routing-key"
	headerUserID     = headerParked + "user-id" // where ours stands now
)

// isDelayOf tells that a queue is one for messages that wait for the source queue.
func isDelayOf(queue, source string) bool {
	rest, ok := strings.CutPrefix(queue, source+delayInfix)
	if !ok {
		return false
	}
	digits, ok := strings.CutSuffix(rest, "ms")
	_, err := strconv.ParseUint(digits, 10, 64)
	return ok && err == nil
}

// parkedCopy is the copy of a message that waits for its source queue.
func parkedCopy(source string, m *flow.Message) flow.Message {
	waits := *m
	waits.Headers = make([]flow.Header, 0, len(m.Headers)+2)
	for _, h := range m.Headers {
		if h.Name == headerDeliveries || h.Name == headerAcquired || strings.HasPrefix(h.Name, headerParked) {
			continue // of an earlier time
		}
		if isDeath(h.Name) || copies(h.Name) {
			h.Name = headerParked + h.Name
		}
		waits.Headers = append(waits.Headers, h)
	}
	if from := m.Source; from.Exchange != "" || from.RoutingKey != "" && from.RoutingKey != source {
		waits.Headers = append(waits.Headers,
			flow.Header{Name: headerExchange, Value: from.Exchange},
			flow.Header{Name: headerRoutingKey, Value: from.RoutingKey})
	}
	if m.UserID != "" {
		waits.Headers = append(waits.Headers, flow.Header{Name: headerUserID, Value: m.UserID})
		waits.UserID = ""
	}
	return waits
}

func isDeath(header string) bool {
	return header == headerDeath || strings.HasPrefix(header, headerFirstDeath) || strings.HasPrefix(header, headerLastDeath)
}

// copies tells that a header names more queues for a message.
func copies(header string) bool { return header == "CC" || header == "BCC" }

// unpark notices that a message was held back, which is what the broker did to it
// last, and makes it what it was before. Its user has to be ours: the broker lets
// nobody else claim that (https://www.rabbitmq.com/docs/validated-user-id).
func unpark(m *flow.Message) {
	i := slices.IndexFunc(m.Headers, func(h flow.Header) bool { return h.Name == headerDeath })
	if i < 0 {
		return
	}
	deaths, _ := m.Headers[i].Value.([]any)
	if len(deaths) == 0 || !heldBack(deaths[0], m.Source.Queue) {
		return
	}
	m.Source.Delayed, m.UserID = true, ""
	m.Headers = slices.DeleteFunc(m.Headers, func(h flow.Header) bool { return isDeath(h.Name) || isOrigin(h, m) })
	for i := range m.Headers {
		if name, ok := strings.CutPrefix(m.Headers[i].Name, headerParked); ok {
			m.Headers[i].Name = name
		}
	}
}

// isOrigin takes a header that tells where a message was published to first, or by whom.
func isOrigin(h flow.Header, m *flow.Message) bool {
	switch h.Name {
	case headerExchange:
		m.Source.Exchange, _ = h.Value.(string)
	case headerRoutingKey:
		m.Source.RoutingKey, _ = h.Value.(string)
	case headerUserID:
		m.UserID, _ = h.Value.(string)
	default:
		return false
	}
	return true
}

// heldBack tells that an entry of x-death is about the end of a delay.
func heldBack(entry any, source string) bool {
	death, _ := entry.(map[string]any)
	queue, _ := death["queue"].(string)
	return death["reason"] == "expired" && isDelayOf(queue, source)
}
