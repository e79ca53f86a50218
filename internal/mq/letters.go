package mq

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"mqgateway/internal/flow"
)

// Letters reads the letters of a dead letter queue that were there when it was
// opened. Each is held until it is removed, or Close gives it back. It belongs to
// one goroutine.
type Letters struct {
	broker Broker
	queue  string
	opened time.Time
	left   int // not received yet, of those that were there at the start
	// replayed are the ids of what was published again.
	replayed map[string]bool

	readers []*letterReader // the last one delivers, the others are full
	held    []heldLetter    // in the order of delivery
	size    int64           // of all bodies that were received
	count   int64
}

// letterReader is a subscription. Brokers bound what one may hold (RabbitMQ: about
// 2,000 messages of a quorum queue), so that a full one is followed by another.
type letterReader struct {
	Subscription
	room int // how many more can be held
}

// heldLetter is what settles a letter; its message is the caller's.
type heldLetter struct {
	delivery Delivery
	by       *letterReader // nil once the letter is removed
}

const (
	// letterWait is how long a letter that should be there is waited for. Somebody else
	// may have it, or had it and vanished: JetStream gives it away again after 15 s.
	letterWait = 20 * time.Second
	// Bounds on what a reader holds, and what it may hold of bodies in bytes.
	firstHeld  = 100
	leastHeld  = 10
	mostHeld   = 1000
	heldBodies = 64 << 20
)

// OpenLetters prepares to read the first letters of a queue, at most limit when
// that is not 0. A missing queue is an error that wraps [ErrNoQueue].
func OpenLetters(ctx context.Context, broker Broker, queue string, limit int) (*Letters, error) {
	waiting, err := CountLetters(ctx, broker, queue)
	if err != nil {
		return nil, err
	}
	l := &Letters{broker: broker, queue: queue, opened: time.Now(), left: waiting, replayed: map[string]bool{}}
	if limit > 0 {
		l.left = min(l.left, limit)
	}
	return l, nil
}

// CountLetters tells how many messages of a queue nobody has in hand.
func CountLetters(ctx context.Context, broker Broker, queue string) (int, error) {
	admin, ok := broker.(Admin)
	if !ok {
		return 0, errors.New("the broker does not tell how many messages a queue has")
	}
	info, err := admin.Inspect(ctx, queue)
	if err != nil {
		return 0, err
	}
	return info.Messages, nil
}

// Left is how many letters have not been read.
func (l *Letters) Left() int { return l.left }

// Next returns the next letter, or [io.EOF] after the last one. A letter that was
// replayed, failed again and came back is passed over.
func (l *Letters) Next(ctx context.Context) (*Letter, error) {
	for l.left > 0 {
		letter, err := l.receive(ctx)
		if err != nil {
			return nil, err
		}
		if letter.FailedAt.After(l.opened) && l.replayed[letter.Message.ID] {
			continue
		}
		return letter, nil
	}
	return nil, io.EOF
}

func (l *Letters) receive(ctx context.Context) (*Letter, error) {
	reader, err := l.reader(ctx)
	if err != nil {
		return nil, err
	}
	within, cancel := context.WithTimeout(ctx, letterWait)
	defer cancel()
	d, err := reader.Receive(within)
	switch {
	case err != nil && ctx.Err() != nil:
		return nil, ctx.Err()
	case errors.Is(err, context.DeadlineExceeded):
		l.left = 0
		return nil, io.EOF
	case err != nil:
		return nil, err
	}
	l.left--
	l.count++
	l.size += int64(len(d.Message.Body))
	letter := ReadLetter(d.Message)
	letter.place = l.hold(d, reader)
	return &letter, nil
}

// hold keeps what settles a delivery and lets the caller have its message.
func (l *Letters) hold(d *Delivery, by *letterReader) (place int) {
	by.room--
	l.held = append(l.held, heldLetter{Delivery{Tag: d.Tag, Settler: d.Settler}, by})
	return len(l.held) - 1
}

// reader is the subscription that delivers, another one when the last one is full.
func (l *Letters) reader(ctx context.Context) (*letterReader, error) {
	if n := len(l.readers); n > 0 {
		last := l.readers[n-1]
		if last.room > 0 {
			return last, nil
		}
		if err := last.Cancel(ctx); err != nil { // what it has stays in hand
			return nil, err
		}
	}
	room := min(l.left, l.ahead())
	sub, err := l.broker.Subscribe(ctx, Queue{Name: l.queue, Prefetch: room})
	if err != nil {
		return nil, err
	}
	reader := &letterReader{sub, room}
	l.readers = append(l.readers, reader)
	return reader, nil
}

// ahead is how many letters are taken ahead: many, unless they are large.
func (l *Letters) ahead() int {
	if l.count == 0 {
		return firstHeld
	}
	average := l.size/l.count + 1
	return int(min(max(heldBodies/average, leastHeld), mostHeld))
}

// Remove takes the letter out of its queue.
func (l *Letters) Remove(letter *Letter) error {
	h := &l.held[letter.place]
	if err := h.delivery.Settle(Ack); err != nil {
		return err
	}
	h.by.room++
	h.by = nil
	for n := len(l.held); n > 0 && l.held[n-1].by == nil; n-- {
		l.held = l.held[:n-1]
	}
	return nil
}

// Replay publishes the message again, to its own queue or to another one, and
// removes the letter when the broker has confirmed that. Errors of
// [Broker.Publish] are returned as they are: the letter stays.
func (l *Letters) Replay(ctx context.Context, letter *Letter, queue string) error {
	original := letter.Original()
	if err := l.broker.Publish(ctx, flow.Address{Key: queue}, &original); err != nil {
		return err
	}
	l.replayed[original.ID] = original.ID != ""
	if err := l.Remove(letter); err != nil {
		return fmt.Errorf("removing the letter, whose message is published: %w", err)
	}
	return nil
}
