package mq

import (
	"context"
	"log/slog"
	"time"
)

// Alone looks from time to time whether another process reads a queue that belongs to
// this instance alone. Then two have the same name, and each takes replies of the other.
type Alone struct {
	manager *Manager
	queue   string
	own     int
	log     *slog.Logger

	crowded int // looks in a row that met another reader
}

const (
	// aloneCheck is how often that is looked at.
	aloneCheck = 30 * time.Second
	// manyLooks in a row tell two instances from one whose last connection the broker
	// still takes for alive.
	manyLooks = 3
)

// NewAlone makes what looks after the queue; Run starts it. own is how many readers this
// instance may have itself: one for each manager, since several may be nodes of one
// cluster.
func NewAlone(m *Manager, queue string, own int) *Alone {
	return &Alone{manager: m, queue: queue, own: own, log: m.log.With("queue", queue)}
}

// Run looks until ctx ends; where the broker does not tell who reads, it does nothing.
func (a *Alone) Run(ctx context.Context) error {
	broker, ok := a.manager.broker.(Admin)
	for ok && sleep(ctx, aloneCheck) {
		within, cancel := context.WithTimeout(ctx, aloneCheck)
		if q, err := broker.Inspect(within, a.queue); err == nil {
			a.tell(q.Consumers)
		}
		cancel()
	}
	return nil
}

// tell logs when the queue begins to be read by others, and when that is over.
func (a *Alone) tell(readers int) {
	switch {
	case readers > a.own:
		if a.crowded++; a.crowded == manyLooks {
			a.log.Error("another process reads the queue of this instance, and replies get lost: names of instances must differ (mq.instance)", "readers", readers)
		}
	case a.crowded >= manyLooks:
		a.log.Info("nobody else reads the queue of this instance any more")
		a.crowded = 0
	default:
		a.crowded = 0
	}
}
