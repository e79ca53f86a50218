package mq_test

import (
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"mqgateway/internal/flow"
	"mqgateway/internal/mq"
)

// counting is the memory broker with the count of its queues.
type counting struct {
	*memory
	prefetch []int // of each subscription
}

func (b *counting) Inspect(_ context.Context, queue string) (mq.QueueInfo, error) {
	return mq.QueueInfo{Messages: len(b.queue(queue))}, nil
}

func (b *counting) Purge(context.Context, string) (int, error) { return 0, errors.ErrUnsupported }

func (b *counting) Subscribe(ctx context.Context, q mq.Queue) (mq.Subscription, error) {
	b.prefetch = append(b.prefetch, q.Prefetch)
	return b.memory.Subscribe(ctx, q)
}

func openLetters(t *testing.T, limit int, messages ...flow.Message) (*counting, *mq.Letters) {
	t.Helper()
	b := &counting{memory: newMemory()}
	b.put("Q.DLQ", messages...)
	letters, err := mq.OpenLetters(t.Context(), b, "Q.DLQ", limit)
	if err != nil {
		t.Fatal(err)
	}
	return b, letters
}

func next(t *testing.T, letters *mq.Letters) *mq.Letter {
	t.Helper()
	letter, err := letters.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return letter
}

func note(name, value string) flow.Header {
	return flow.Header{Name: "x-gateway-" + name, Value: value}
}

func TestLetterTellsWhyItFailed(t *testing.T) {
	aside := flow.Message{ID: "m-1", Headers: []flow.Header{
		{Name: "n", Value: int32(7)},
		note("error-code", "602"), note("error", "calling"), note("source-queue", "Q"), note("route", "Payment"),
		note("attempts", "3"), note("failed-at", "2026-01-02T03:04:05.6Z"), note("instance", "i"), note("cut", "a,b"),
	}}
	want := mq.Letter{
		Message: aside, Code: flow.DestinationFailed, Reason: "calling", Queue: "Q", Route: "Payment", Attempts: 3,
		FailedAt: time.Date(2026, 1, 2, 3, 4, 5, 6e8, time.UTC), Instance: "i", Cut: []string{"a", "b"},
	}
	if diff := cmp.Diff(want, mq.ReadLetter(aside), cmp.AllowUnexported(mq.Letter{})); diff != "" {
		t.Errorf("letter (-want +got):\n%s", diff)
	}
}

func TestOriginalHasNoTracesOfItsFailure(t *testing.T) {
	letter := mq.ReadLetter(flow.Message{ID: "made", Persistence: flow.Persistent, Headers: []flow.Header{
		{Name: "n", Value: int32(7)},
		note("id-made", "true"), note("error-code", "602"), note("original-user-id", "guest"),
		note("original-expiration", "5000"), note("original-CC", "copy"), note("original-x-death", "old"),
		{Name: "x-delivery-count", Value: int64(2)},
		{Name: "x-first-death-queue", Value: "Q"},
	}})
	want := flow.Message{
		ID: "made", IDMade: true, Persistence: flow.Persistent, Expiry: 5 * time.Second,
		Headers: []flow.Header{{Name: "n", Value: int32(7)}, note("id-made", "true")},
	}
	if diff := cmp.Diff(want, letter.Original()); diff != "" {
		t.Errorf("original (-want +got):\n%s", diff)
	}
}

func TestLetterOfRabbitMQsOwnDeadLettering(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	letter := mq.ReadLetter(flow.Message{ID: "m-1", Headers: []flow.Header{{Name: "x-death", Value: []any{
		map[string]any{"queue": "Q", "reason": "rejected", "time": at, "original-expiration": "600"},
		map[string]any{"queue": "EARLIER", "reason": "expired"},
	}}}})
	if letter.Code != 0 || letter.Queue != "Q" || letter.Reason != "rejected" || !letter.FailedAt.Equal(at) {
		t.Errorf("letter = %+v, want what the newest death tells", letter)
	}
	want := flow.Message{ID: "m-1", Expiry: 600 * time.Millisecond, Headers: []flow.Header{}}
	if diff := cmp.Diff(want, letter.Original()); diff != "" {
		t.Errorf("original (-want +got):\n%s", diff)
	}
}

func TestLettersAreRemovedOrGivenBack(t *testing.T) {
	b, letters := openLetters(t, 0, flow.Message{ID: "1"}, flow.Message{ID: "2"}, flow.Message{ID: "3"})
	b.put("Q.DLQ", flow.Message{ID: "later"}) // was not there when the queue was opened
	if err := letters.Replay(t.Context(), next(t, letters), "Q"); err != nil {
		t.Fatal(err)
	}
	next(t, letters)
	if err := letters.Remove(next(t, letters)); err != nil {
		t.Fatal(err)
	}
	if _, err := letters.Next(t.Context()); !errors.Is(err, io.EOF) {
		t.Errorf("after the last one: %v, want io.EOF", err)
	}
	if err := letters.Close(); err != nil {
		t.Fatal(err)
	}
	// "later" was on its way to the subscription.
	if diff := cmp.Diff([]mq.Outcome{mq.Ack, mq.Ack, mq.Return, mq.Return}, b.outcomes()); diff != "" {
		t.Errorf("outcomes (-want +got):\n%s", diff)
	}
	if sent := b.published(); len(sent) != 1 || sent[0].ID != "1" || sent[0].To.Key != "Q" {
		t.Errorf("published = %+v, want the first", sent)
	}
}

func TestLetterThatCannotBePublishedIsGivenBack(t *testing.T) {
	b, letters := openLetters(t, 0, flow.Message{ID: "1"})
	b.publish = func(flow.Address, *flow.Message) error { return mq.ErrReturned }
	if err := letters.Replay(t.Context(), next(t, letters), "Q"); !errors.Is(err, mq.ErrReturned) {
		t.Errorf("replaying = %v, want what became of the publish", err)
	}
	if err := letters.Close(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]mq.Outcome{mq.Return}, b.outcomes()); diff != "" {
		t.Errorf("outcomes (-want +got):\n%s", diff)
	}
}

func TestReplayedLetterThatComesBackIsPassedOver(t *testing.T) {
	b, letters := openLetters(t, 0, flow.Message{ID: "1"}, flow.Message{ID: "2"})
	if err := letters.Replay(t.Context(), next(t, letters), "Q"); err != nil {
		t.Fatal(err)
	}
	<-b.queue("Q.DLQ") // somebody else takes the second
	b.put("Q.DLQ", flow.Message{ID: "1", Headers: []flow.Header{note("failed-at", time.Now().Add(time.Second).UTC().Format(time.RFC3339Nano))}})
	if letter, err := letters.Next(t.Context()); !errors.Is(err, io.EOF) {
		t.Errorf("next = %+v, %v, want io.EOF", letter, err)
	}
	if err := letters.Close(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]mq.Outcome{mq.Ack, mq.Return}, b.outcomes()); diff != "" {
		t.Errorf("outcomes (-want +got):\n%s", diff)
	}
}

func TestNoMoreLettersAreTakenThanTheLimit(t *testing.T) {
	b, letters := openLetters(t, 2, flow.Message{ID: "1"}, flow.Message{ID: "2"}, flow.Message{ID: "3"})
	next(t, letters)
	next(t, letters)
	if _, err := letters.Next(t.Context()); !errors.Is(err, io.EOF) {
		t.Errorf("after two: %v, want io.EOF", err)
	}
	if diff := cmp.Diff([]int{2}, b.prefetch); diff != "" {
		t.Errorf("prefetch (-want +got):\n%s", diff)
	}
	if err := letters.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestInterruptedReadingGivesBack(t *testing.T) {
	b, letters := openLetters(t, 0, flow.Message{ID: "1"}, flow.Message{ID: "2"})
	next(t, letters)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	<-b.queue("Q.DLQ")
	if _, err := letters.Next(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("next = %v, want the end of the context", err)
	}
	if err := letters.Close(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]mq.Outcome{mq.Return}, b.outcomes()); diff != "" {
		t.Errorf("outcomes (-want +got):\n%s", diff)
	}
}

func TestReplayedMessageKeepsThatItsIDWasMade(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench()
		letter := mq.ReadLetter(flow.Message{ID: "made", CorrelID: "c", Headers: []flow.Header{
			{Name: "n", Value: int32(7)}, note("id-made", "true"), note("error-code", "602"),
		}})
		b.broker.put("Q", letter.Original())
		var got flow.Message
		stop := b.listen(1, func(_ context.Context, m *flow.Message) (*flow.Message, error) {
			got = *m
			return nil, nil
		})
		synctest.Wait()
		stop()
		if diff := cmp.Diff([]flow.Header{{Name: "n", Value: int32(7)}}, got.Headers); got.ID != "made" || !got.IDMade || diff != "" {
			t.Errorf("message = %+v, want it as it came first; headers (-want +got):\n%s", got, diff)
		}
	})
}
