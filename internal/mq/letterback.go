package mq

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	// lettersClose bounds what Close waits for, for each reader.
	lettersClose = 30 * time.Second
	// backQuiet is how long the count of a queue may stand still while letters come
	// back, and backPoll how often it is looked up.
	backQuiet = 200 * time.Millisecond
	backPoll  = 10 * time.Millisecond
)

// Close gives back what is held, in its order, and what was on its way.
func (l *Letters) Close() error {
	var errs []error
	if n := len(l.readers); n > 0 {
		errs = append(errs, l.drain(l.readers[n-1]))
	}
	for _, r := range l.readers {
		errs = append(errs, l.giveBack(r))
	}
	l.readers, l.held, l.left = nil, nil, 0
	return errors.Join(errs...)
}

// drain takes what the broker has sent already.
func (l *Letters) drain(r *letterReader) error {
	ctx, cancel := context.WithTimeout(context.Background(), lettersClose)
	defer cancel()
	if err := r.Cancel(ctx); err != nil {
		return err
	}
	for {
		d, err := r.Receive(ctx)
		if err != nil {
			return nil // there is nothing more, or the connection is lost and nothing is held
		}
		l.hold(d, r)
	}
}

// giveBack returns the letters of a reader, closes it, and waits until they are
// there: RabbitMQ keeps no order between channels, and who comes next counts them.
func (l *Letters) giveBack(r *letterReader) error {
	ctx, cancel := context.WithTimeout(context.Background(), lettersClose)
	defer cancel()
	before, counting := CountLetters(ctx, l.broker, l.queue)
	returned, err := l.returnAll(r)
	err = errors.Join(err, r.Close())
	if err == nil && counting == nil {
		l.awaitBack(ctx, before, before+returned)
	}
	return err
}

// returnAll counts what the broker has not given back already, with a connection
// that is lost.
func (l *Letters) returnAll(r *letterReader) (returned int, err error) {
	for _, h := range l.held {
		if h.by != r {
			continue
		}
		switch err := h.delivery.Settle(Return); {
		case err == nil:
			returned++
		case !errors.Is(err, ErrStale):
			return returned, fmt.Errorf("giving back a letter: %w", err)
		}
	}
	return returned, nil
}

// awaitBack waits until the queue has so many letters, or their number stands still:
// somebody else may take them, and some brokers count those in hand, too.
func (l *Letters) awaitBack(ctx context.Context, count, want int) {
	tick := time.NewTicker(backPoll)
	defer tick.Stop()
	for changed := time.Now(); count < want && time.Since(changed) < backQuiet; {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		now, err := CountLetters(ctx, l.broker, l.queue)
		if err != nil {
			return
		}
		if now != count {
			count, changed = now, time.Now()
		}
	}
}
