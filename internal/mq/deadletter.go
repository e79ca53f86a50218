package mq

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"mqgateway/internal/flow"
)

// Headers that a dead letter carries beside those of its message.
const (
	headerErrorCode   = "x-gateway-error-code"
	headerError       = "x-gateway-error"
	headerSourceQueue = "x-gateway-source-queue"
	headerFailedAt    = "x-gateway-failed-at"
	headerInstance    = "x-gateway-instance"
	headerOriginal    = "x-gateway-original-"
	headerCut         = "x-gateway-cut"
)

// maxErrorText bounds the reason that travels with a dead letter, in bytes.
const maxErrorText = 1024

// DeadLetters writes messages that failed for good to a queue beside their own.
type DeadLetters struct {
	// Queue is where they go; empty is the message's own queue with .DLQ behind it.
	Queue string
	// Kind is how a missing queue is declared; Existing never declares it.
	Kind QueueKind
	// Instance is the name of this process, for the reader of a dead letter.
	Instance string

	declared sync.Map // queue@manager -> struct{}, once it is known to exist
}

// Write publishes a copy of the message to its dead letter queue on the manager
// that it came from and returns once that is confirmed. The name of the queue is
// returned with an error, too.
func (dl *DeadLetters) Write(ctx context.Context, on *Manager, m *flow.Message, cause error) (queue string, err error) {
	queue = dl.Queue
	if queue == "" {
		queue = m.Source.Queue + ".DLQ"
	}
	if err := dl.declare(ctx, on, queue); err != nil {
		return queue, err
	}
	letter := dl.letter(m, cause)
	err = on.Publish(ctx, flow.Address{Key: queue}, &letter)
	if errors.Is(err, ErrReturned) {
		dl.declared.Delete(queue + "@" + on.ID())
	}
	return queue, err
}

// declare makes the queue when it may be made, once for each manager.
func (dl *DeadLetters) declare(ctx context.Context, on *Manager, queue string) error {
	declarer, ok := on.broker.(Declarer)
	key := queue + "@" + on.ID()
	if _, known := dl.declared.Load(key); known || !ok || dl.Kind == Existing {
		return nil
	}
	if err := declarer.Declare(ctx, Queue{Name: queue, Kind: dl.Kind, Unlimited: true}); err != nil {
		return fmt.Errorf("declaring the dead letter queue: %w", err)
	}
	dl.declared.Store(key, struct{}{})
	return nil
}

// letter is a persistent copy of the message with the reason. What would harm it
// on its way travels under another name.
func (dl *DeadLetters) letter(m *flow.Message, cause error) flow.Message {
	letter := *m
	letter.Persistence = flow.Persistent
	kept, cut := fitting(m.Headers)
	letter.Headers = make([]flow.Header, 0, len(kept)+8)
	for _, h := range kept {
		if harmful(h.Name) {
			h.Name = headerOriginal + h.Name
		}
		letter.Headers = append(letter.Headers, h)
	}
	add := func(name, value string) {
		letter.Headers = append(letter.Headers, flow.Header{Name: name, Value: value})
	}
	if m.UserID != "" {
		add(headerOriginal+"user-id", m.UserID)
		letter.UserID = ""
	}
	if m.Expiry != 0 {
		add(headerOriginal+"expiration", strconv.FormatInt(m.Expiry.Milliseconds(), 10))
		letter.Expiry = 0
	}
	if len(cut) > 0 {
		add(headerCut, truncate(strings.Join(cut, ","), maxErrorText))
	}
	add(headerErrorCode, strconv.Itoa(int(flow.CodeOf(cause))))
	add(headerError, truncate(cause.Error(), maxErrorText))
	add(headerSourceQueue, m.Source.Queue)
	add(headerFailedAt, time.Now().UTC().Format(time.RFC3339Nano))
	add(headerInstance, dl.Instance)
	return letter
}

// maxHeaders bounds the headers of a message that fit a frame beside what a dead
// letter adds, in bytes of their text.
const maxHeaders = 56 << 10

// fitting returns the headers that fit a frame and the names of the largest
// ones, which do not.
func fitting(headers []flow.Header) (kept []flow.Header, cut []string) {
	total := 0
	for _, h := range headers {
		total += headerSize(h)
	}
	if total <= maxHeaders {
		return headers, nil
	}
	kept = slices.Clone(headers)
	slices.SortStableFunc(kept, func(a, b flow.Header) int { return headerSize(a) - headerSize(b) })
	for total > maxHeaders {
		last := kept[len(kept)-1]
		kept = kept[:len(kept)-1]
		total -= headerSize(last)
		cut = append(cut, last.Name)
	}
	return kept, cut
}

// headerSize estimates what a header takes in a frame.
func headerSize(h flow.Header) int {
	const overhead = 8
	switch v := h.Value.(type) {
	case string:
		return overhead + len(h.Name) + len(v)
	case []byte:
		return overhead + len(h.Name) + len(v)
	case map[string]any, []any:
		return overhead + len(h.Name) + len(h.Text())
	default:
		return overhead + len(h.Name) + 8
	}
}

// harmful headers would route extra copies or make the broker see a cycle.
func harmful(name string) bool {
	return strings.EqualFold(name, "CC") || strings.EqualFold(name, "BCC") || strings.HasPrefix(name, "x-death")
}

// truncate cuts a text to n bytes, between characters.
func truncate(text string, n int) string {
	if len(text) <= n {
		return text
	}
	return strings.ToValidUTF8(text[:n], "")
}
