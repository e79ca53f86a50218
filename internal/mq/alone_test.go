package mq_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"mqgateway/internal/mq"
)

// read is a broker that tells how many read a queue.
type read struct {
	*memory
	readers int
}

func (b *read) Inspect(context.Context, string) (mq.QueueInfo, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return mq.QueueInfo{Consumers: b.readers}, nil
}

func (b *read) Purge(context.Context, string) (int, error) { return 0, nil }

func (b *read) by(readers int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.readers = readers
}

func TestInstancesOfOneNameAreTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broker := &read{memory: newMemory(), readers: 1}
		b := newBenchOn(broker.memory, broker)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { defer close(ended); _ = mq.NewAlone(b.manager, "R.GW.a", 1).Run(ctx) }()
		for _, step := range []struct {
			name         string
			readers      int
			last         time.Duration
			crowded, end int // log lines so far
		}{
			{"alone", 1, 5 * time.Minute, 0, 0},
			{"a connection that is lost, and that the broker still has", 2, time.Minute, 0, 0},
			{"alone again", 1, time.Minute, 0, 0},
			{"two of a name", 2, 5 * time.Minute, 1, 0},
			{"the other is gone", 1, 5 * time.Minute, 1, 1},
		} {
			broker.by(step.readers)
			time.Sleep(step.last)
			synctest.Wait()
			crowded, end := b.logged.count("another process reads the queue"), b.logged.count("nobody else reads the queue")
			if crowded != step.crowded || end != step.end {
				t.Errorf("%s: log lines = %d, %d, want %d, %d:\n%s", step.name, crowded, end, step.crowded, step.end, b.logged.b.String())
			}
		}
		cancel()
		<-ended
	})
}

func TestInstancesOfOneNameAreToldByTheQueueThatOthersUse(t *testing.T) {
	for _, tt := range []struct {
		name   string
		others int
		want   int
	}{
		{"one manager", 0, 1},
		{"two managers, which may be one cluster", 1, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &shop{broker: newMemory()}
				s.broker.routes = true
				var others []*memory
				for range tt.others {
					others = append(others, newMemory())
				}
				d := s.openOn("a", &read{memory: s.broker, readers: 2}, nil, others...)
				defer s.close()
				time.Sleep(5 * time.Minute)
				synctest.Wait()
				if got := d.logged.count("another process reads the queue"); got != tt.want {
					t.Errorf("log lines = %d, want %d:\n%s", got, tt.want, d.logged.b.String())
				}
			})
		})
	}
}
