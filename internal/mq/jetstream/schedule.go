package jetstream

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"mqgateway/internal/mq"
)

// scheduleLevel is the level of the JetStream API that knows schedules: NATS 2.12.
const scheduleLevel = 2

// noDelay says why a queue can't hold messages back.
func noDelay(queue string, why error) error {
	return fmt.Errorf("%w: queue %q: %w", mq.ErrNoDelay, queue, why)
}

// readyDelays makes the queue take schedules where it does not yet, and returns how
// far the server's clock is ahead of ours, at most.
func (b *Broker) readyDelays(s *session, queue string) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(b.ctx, b.timeout)
	defer cancel()
	asked := time.Now()
	stream, err := s.js.Stream(ctx, streamName(queue))
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound):
		return 0, fmt.Errorf("%w: no queue of the name %q; declare it, or check the address", mq.ErrReturned, queue)
	case err != nil:
		return 0, s.explain(fmt.Errorf("looking up queue %q: %w", queue, err))
	}
	info := stream.CachedInfo()
	if err := b.enableDelays(ctx, s, queue, info); err != nil {
		return 0, err
	}
	return info.TimeStamp.Sub(asked), nil
}

// enableDelays changes the consumer before the stream: it must never see a schedule.
func (b *Broker) enableDelays(ctx context.Context, s *session, queue string, info *jetstream.StreamInfo) error {
	cfg, err := withSchedules(queue, info.Config)
	if err != nil {
		return noDelay(queue, err)
	}
	refusal := s.refusal.Load()
	err = b.filterConsumer(ctx, s, queue, cfg.Subjects, expiresOf(info))
	if err == nil && !takesSchedules(queue, info.Config) {
		err = b.updateStream(ctx, s, queue)
	}
	switch api, ok := errors.AsType[*jetstream.APIError](err); {
	case err == nil:
		return nil
	case ok && api.Code != http.StatusServiceUnavailable, errors.Is(err, errNoSchedules):
		return noDelay(queue, fmt.Errorf("changing it: %w", err))
	case errors.Is(err, context.DeadlineExceeded) && s.refusal.Load() != refusal: // it answers by silence
		return noDelay(queue, s.explain(fmt.Errorf("changing it: %w", err)))
	default:
		return fmt.Errorf("changing queue %q, so that it holds messages back: %w", queue, err)
	}
}

// updateStream fails on a server that takes the configuration and does not know
// all of it.
func (b *Broker) updateStream(ctx context.Context, s *session, queue string) error {
	stream, err := b.changeStream(ctx, s, queue, withSchedules)
	if err != nil {
		return err
	}
	if !stream.CachedInfo().Config.AllowMsgSchedules {
		return errNoSchedules
	}
	return nil
}

// filterConsumer lets the consumer of the queue read all subjects but those of
// schedules, and makes it where it is missing.
func (b *Broker) filterConsumer(ctx context.Context, s *session, queue string, subjects []string, expires time.Duration) error {
	consumer, err := s.js.Consumer(ctx, streamName(queue), consumerName)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		cfg := b.consumerConfig(expires)
		cfg.FilterSubjects = deliverable(queue, subjects)
		_, err = s.js.CreateConsumer(ctx, streamName(queue), cfg)
		return err
	}
	if err != nil {
		return err
	}
	_, err = refilter(ctx, s, queue, subjects, consumer)
	return err
}

// refilter changes a consumer that does not read the subjects as it has to.
func refilter(ctx context.Context, s *session, queue string, subjects []string, consumer jetstream.Consumer) (jetstream.Consumer, error) {
	cfg := consumer.CachedInfo().Config
	want := deliverable(queue, subjects)
	if slices.Equal(cfg.FilterSubjects, want) {
		return consumer, nil
	}
	cfg.FilterSubject, cfg.FilterSubjects = "", want
	return s.js.UpdateConsumer(ctx, streamName(queue), cfg)
}

// deliverable are the subjects that messages are delivered from; nil is all, for a
// stream without schedules.
func deliverable(queue string, subjects []string) []string {
	later := slices.Index(subjects, laterSubjects(queue))
	if later < 0 {
		return nil
	}
	return slices.Delete(slices.Clone(subjects), later, later+1)
}

// takesSchedules tells that the stream of the queue holds messages back.
func takesSchedules(queue string, cfg jetstream.StreamConfig) bool {
	return cfg.AllowMsgSchedules && cfg.AllowMsgTTL &&
		slices.Contains(cfg.Subjects, laterSubjects(queue)) && slices.Contains(cfg.Subjects, dueSubject(queue))
}

// withSchedules is the configuration of a stream that takes schedules, too. An error
// tells why that can't be, or would do harm.
func withSchedules(queue string, cfg jetstream.StreamConfig) (jetstream.StreamConfig, error) {
	if level, _ := strconv.Atoi(cfg.Metadata[server.JSServerLevelMetadataKey]); level < scheduleLevel {
		return cfg, errors.New("NATS holds messages back since version 2.12, this one is older")
	}
	if cfg.Retention == jetstream.InterestPolicy {
		return cfg, errors.New("its stream keeps only what a consumer wants, which no schedule is")
	}
	if cfg.Discard == jetstream.DiscardNew && (cfg.MaxMsgs > 0 || cfg.MaxBytes > 0) {
		return cfg, errors.New("its stream has limits and refuses what exceeds them, and with schedules it would drop old messages in place of that")
	}
	cfg.Discard = jetstream.DiscardOld // means nothing without limits, and the other one rules schedules out
	cfg.AllowMsgSchedules, cfg.AllowMsgTTL, cfg.AllowRollup = true, true, true
	cfg.Metadata = maps.Clone(cfg.Metadata)
	cfg.Subjects = slices.Clone(cfg.Subjects)
	for _, subject := range []string{dueSubject(queue), laterSubjects(queue)} {
		if !slices.Contains(cfg.Subjects, subject) {
			cfg.Subjects = append(cfg.Subjects, subject)
		}
	}
	return cfg, nil
}
