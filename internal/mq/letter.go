package mq

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"mqgateway/internal/flow"
)

// Headers of a message that lies aside, in a dead letter or delay queue. Nobody
// else sets headers of that prefix; see [flow.Header.Reserved].
const (
	headerPrefix      = "x-gateway-"
	headerErrorCode   = headerPrefix + "error-code"
	headerError       = headerPrefix + "error"
	headerSourceQueue = headerPrefix + "source-queue"
	headerFailedAt    = headerPrefix + "failed-at"
	headerInstance    = headerPrefix + "instance"
	headerAttempts    = headerPrefix + "attempts"
	headerRoute       = headerPrefix + "route"
	headerCut         = headerPrefix + "cut"
	// headerIDMade marks a message whose sender gave it no id.
	headerIDMade = headerPrefix + "id-made"
	// headerOriginal begins the names of what would harm the message, or what it would
	// harm, while it lies aside.
	headerOriginal     = headerPrefix + "original-"
	originalUserID     = headerOriginal + "user-id"
	originalExpiration = headerOriginal + "expiration" // in ms
	originalMode       = headerOriginal + "delivery-mode"
)

// maxErrorText bounds the reason that travels with a dead letter, in bytes.
const maxErrorText = 1024

// putAside makes a copy of a message to lie in another queue than its own for a
// while: it is persistent, and what would harm it there has another name.
func putAside(m *flow.Message) flow.Message { return putAsideWithin(maxHeaders, m) }

// putAsideWithin is putAside with the largest headers left out where they have more
// bytes than that together.
func putAsideWithin(limit int, m *flow.Message) flow.Message {
	aside := *m
	earlier := textOf(m.Headers, headerCut)
	own := slices.DeleteFunc(slices.Clone(m.Headers), func(h flow.Header) bool { return h.Name == headerCut })
	kept, cut := fitting(own, limit)
	if earlier != "" {
		cut = append(cut, earlier)
	}
	aside.Headers = make([]flow.Header, 0, len(kept)+10)
	for _, h := range kept {
		if harmful(h.Name) {
			h.Name = headerOriginal + h.Name
		}
		aside.Headers = append(aside.Headers, h)
	}
	add := func(name, value string) {
		aside.Headers = append(aside.Headers, flow.Header{Name: name, Value: value})
	}
	if m.IDMade {
		add(headerIDMade, "true")
	}
	if m.UserID != "" {
		add(originalUserID, m.UserID)
		aside.UserID = ""
	}
	if m.Expiry != 0 {
		add(originalExpiration, strconv.FormatInt(m.Expiry.Milliseconds(), 10))
		aside.Expiry = 0
	}
	if m.Persistence == flow.NonPersistent {
		add(originalMode, strconv.Itoa(int(m.Persistence)))
	}
	aside.Persistence = flow.Persistent
	if len(cut) > 0 {
		add(headerCut, truncate(strings.Join(cut, ","), maxErrorText))
	}
	return aside
}

// bare is the message aside without any header, so that it is no larger than it was.
func bare(m *flow.Message) flow.Message {
	aside := *m
	aside.Headers, aside.UserID, aside.Expiry = nil, "", 0
	if m.Persistence == flow.NonPersistent {
		aside.Persistence = flow.Persistent
	}
	if m.IDMade {
		aside.ID, aside.IDMade = "", false
	}
	return aside
}

// takeBack makes the message again that was put aside, and returns the gateway's
// headers that it had there, by their names.
func takeBack(aside *flow.Message) (m flow.Message, notes map[string]string) {
	m, notes = *aside, map[string]string{}
	m.Headers = make([]flow.Header, 0, len(aside.Headers))
	for _, h := range aside.Headers {
		name, isOriginal := strings.CutPrefix(h.Name, headerOriginal)
		switch {
		case isOriginal && harmful(name):
			m.Headers = append(m.Headers, flow.Header{Name: name, Value: h.Value})
		case harmful(h.Name): // the broker's, of the way back
		case h.Name == headerCut || !strings.HasPrefix(h.Name, headerPrefix):
			m.Headers = append(m.Headers, h)
		default:
			notes[h.Name] = h.Text()
		}
	}
	m.IDMade = notes[headerIDMade] != ""
	m.UserID = notes[originalUserID]
	if ms, err := strconv.ParseUint(notes[originalExpiration], 10, 32); err == nil {
		m.Expiry = time.Duration(ms) * time.Millisecond
	}
	if notes[originalMode] != "" {
		m.Persistence = flow.NonPersistent
	}
	return m, notes
}

// maxHeaders bounds the headers of a message that fit a frame beside what a dead
// letter adds, in bytes.
const maxHeaders = 56 << 10

// fitting returns the headers that have no more bytes than the limit together, and the
// names of the largest ones, which exceed it.
func fitting(headers []flow.Header, limit int) (kept []flow.Header, cut []string) {
	total := headersSize(headers)
	if total <= limit {
		return headers, nil
	}
	kept = slices.Clone(headers)
	slices.SortStableFunc(kept, func(a, b flow.Header) int { return headerSize(a) - headerSize(b) })
	for total > limit {
		last := kept[len(kept)-1]
		kept = kept[:len(kept)-1]
		total -= headerSize(last)
		cut = append(cut, last.Name)
	}
	return kept, cut
}

func headersSize(headers []flow.Header) (size int) {
	for _, h := range headers {
		size += headerSize(h)
	}
	return size
}

// headerSize is at least what a header takes in a frame.
func headerSize(h flow.Header) int { return 1 + len(h.Name) + valueSize(h.Value) }

func valueSize(value any) int {
	size := 5 // type and length
	switch v := value.(type) {
	case string:
		size += len(v)
	case []byte:
		size += len(v)
	case map[string]any:
		for name, inner := range v {
			size += 1 + len(name) + valueSize(inner)
		}
	case []any:
		for _, inner := range v {
			size += valueSize(inner)
		}
	default:
		size += 4 // the longest others have eight bytes and no length
	}
	return size
}

// harmful headers would route extra copies or make the broker see a cycle, or the
// broker writes them itself while the message lies aside.
func harmful(name string) bool {
	return strings.EqualFold(name, "CC") || strings.EqualFold(name, "BCC") || strings.HasPrefix(name, "x-death") ||
		strings.HasPrefix(name, "x-first-death-") || strings.HasPrefix(name, "x-last-death-")
}

// truncate cuts a text to n bytes, between characters.
func truncate(text string, n int) string {
	if len(text) <= n {
		return text
	}
	return strings.ToValidUTF8(text[:n], "")
}
