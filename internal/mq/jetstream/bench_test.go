package jetstream_test

import (
	"sync"
	"testing"

	"mqgateway/internal/flow"
	"mqgateway/internal/mq"
	"mqgateway/internal/mq/jetstream"
)

// benchMessage has what a gateway's message usually has, and 1 KiB of body.
var benchMessage = flow.Message{
	ID: "0198c0de-0000-7000-8000-000000000000", CorrelID: "0198c0de-0000-7000-8000-000000000001", ReplyTo: "replies.in",
	Persistence: flow.Persistent, ContentType: "application/json; charset=utf-8", Body: make([]byte, 1024),
	Headers: []flow.Header{{Name: "RqUID", Value: "7f7cc5e4"}, {Name: "attempt", Value: int32(1)}},
}

func BenchmarkPublish(b *testing.B) {
	for _, sync := range []string{"always", "1s"} {
		b.Run("sync="+sync, func(b *testing.B) {
			broker := openEmbedded(b, startEmbedded(b, jetstream.EmbeddedConfig{Sync: sync}))
			declare(b, broker, "bench")
			b.ReportAllocs()
			b.ResetTimer()
			fill(b, broker, b.N)
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
		})
	}
}

func BenchmarkReceiveAck(b *testing.B) {
	for _, sync := range []string{"always", "1s"} {
		b.Run("sync="+sync, func(b *testing.B) { benchmarkReceiveAck(b, sync) })
	}
}

func benchmarkReceiveAck(b *testing.B, sync string) {
	broker := openEmbedded(b, startEmbedded(b, jetstream.EmbeddedConfig{Sync: sync}))
	declare(b, broker, "bench")
	fill(b, broker, b.N)
	s := subscribe(b, broker, "bench", 256)
	b.ReportAllocs()
	b.ResetTimer()
	share(b, b.N, func() error {
		d, err := s.Receive(b.Context())
		if err != nil {
			return err
		}
		return d.Settle(mq.Ack)
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
}

func fill(b *testing.B, broker mq.Broker, n int) {
	b.Helper()
	share(b, n, func() error { return broker.Publish(b.Context(), flow.Address{Key: "bench"}, &benchMessage) })
}

// share has 64 workers do something n times in all.
func share(b *testing.B, n int, work func() error) {
	b.Helper()
	jobs := make(chan struct{}, n)
	for range n {
		jobs <- struct{}{}
	}
	close(jobs)
	var group sync.WaitGroup
	for range 64 {
		group.Go(func() {
			for range jobs {
				if err := work(); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	group.Wait()
}
