package flow

import (
	"context"
	"time"
)

// Grace is how long work in hand may go on after its source was told to stop.
type Grace time.Duration

// Context returns a context for work: it has the values of ctx, but ends only
// when the grace has passed after ctx ended, or when cancel is called.
func (g Grace) Context(ctx context.Context) (work context.Context, cancel context.CancelFunc) {
	work, end := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		timer := time.NewTimer(time.Duration(g))
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-work.Done():
		}
		end()
	})
	return work, func() { stop(); end() }
}
