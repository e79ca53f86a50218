package mq

import (
	"context"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// reconnecting is the pause between tries to reach a broker or a queue: for
// ever, exponential with jitter from 100 ms to 15 s.
func reconnecting() *backoff.ExponentialBackOff {
	b := backoff.NewExponentialBackOff()
	b.InitialInterval = 100 * time.Millisecond
	b.MaxInterval = 15 * time.Second
	b.Multiplier = 2
	b.Reset()
	return b
}

// sleep waits and tells whether the time passed before ctx ended.
func sleep(ctx context.Context, d time.Duration) bool { return sleepUntil(ctx, d, nil) }

// sleepUntil is sleep that also ends when woken is closed.
func sleepUntil(ctx context.Context, d time.Duration, woken <-chan struct{}) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-woken:
		return true
	case <-ctx.Done():
		return false
	}
}
