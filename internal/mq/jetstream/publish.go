package jetstream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"mqgateway/internal/flow"
	"mqgateway/internal/mq"
)

// Answers of the server that publishing tells apart. They are numbered at
// https://github.com/nats-io/nats-server/blob/main/server/errors.json.
const (
	codeMessageTooLarge jetstream.ErrorCode = 10054
	codeHeadersTooLarge jetstream.ErrorCode = 10097
	codeTTLDisabled     jetstream.ErrorCode = 10166
)

// Publish implements [mq.Broker].
func (b *Broker) Publish(ctx context.Context, to flow.Address, m *flow.Message) error {
	if to.Exchange != "" {
		return fmt.Errorf("%w: NATS has no exchanges, %q names one", mq.ErrReturned, to.String())
	}
	if err := ValidateQueue(to.Key); err != nil {
		return fmt.Errorf("%w: %w", mq.ErrReturned, err)
	}
	msg, err := encode(to.Key, m)
	if err != nil {
		return err
	}
	s, err := b.publishing.session(ctx)
	if err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("message was not sent: %w", err)
	}
	err = b.send(ctx, s, msg)
	if api, ok := errors.AsType[*jetstream.APIError](err); ok && api.ErrorCode == codeTTLDisabled {
		// A stream made by others may know no TTL: the driver drops what expires.
		msg.Header.Del(jetstream.MsgTTLHeader)
		err = b.send(ctx, s, msg)
	}
	if errors.Is(err, nats.ErrNoResponders) {
		return b.unroutable(ctx, s, to.Key)
	}
	return err
}

// send publishes and waits for the answer. No responders are returned as they are.
func (b *Broker) send(ctx context.Context, s *session, msg *nats.Msg) error {
	if size, limit := int64(msg.Size()-len(msg.Subject)), s.nc.MaxPayload(); size > limit {
		return flow.Errorf(flow.BadMessage, "message of %d bytes, headers included, exceeds the server's max_payload of %d bytes", size, limit)
	}
	wait, cancel := context.WithTimeout(ctx, b.timeout)
	defer cancel()
	answer, err := s.nc.RequestMsgWithContext(wait, msg)
	switch {
	case err == nil:
		return verdict(answer.Data)
	case errors.Is(err, nats.ErrNoResponders):
		return err
	case wait.Err() != nil && ctx.Err() == nil:
		return s.explain(fmt.Errorf("%w: no answer of the server within %v", mq.ErrUnknown, b.timeout))
	default:
		return fmt.Errorf("%w: waiting for the answer of the server: %w", mq.ErrUnknown, err)
	}
}

// verdict reads the server's answer to a publish.
func verdict(answer []byte) error {
	var ack struct {
		Stream string              `json:"stream"`
		Error  *jetstream.APIError `json:"error"`
	}
	if err := json.Unmarshal(answer, &ack); err != nil {
		return fmt.Errorf("%w: answer of the server is none of JetStream: %w", mq.ErrUnknown, err)
	}
	if ack.Error == nil {
		if ack.Stream == "" {
			return fmt.Errorf("%w: answer of the server names no stream", mq.ErrUnknown)
		}
		return nil
	}
	switch ack.Error.ErrorCode {
	case codeMessageTooLarge, codeHeadersTooLarge:
		return flow.Errorf(flow.BadMessage, "message exceeds the limits of the queue: %w", ack.Error)
	default:
		return fmt.Errorf("%w: %w", mq.ErrNacked, ack.Error)
	}
}

// unroutable tells a queue that does not exist from one that has no leader at
// the moment: both have nobody who listens on their subject.
func (b *Broker) unroutable(ctx context.Context, s *session, queue string) error {
	ctx, cancel := context.WithTimeout(ctx, b.timeout)
	defer cancel()
	_, err := s.js.Stream(ctx, streamName(queue))
	switch {
	case err == nil:
		return fmt.Errorf("%w: nobody listens on subject %q of queue %q at the moment", mq.ErrNacked, subjectName(queue), queue)
	case errors.Is(err, jetstream.ErrStreamNotFound):
		return fmt.Errorf("%w: no queue of the name %q; declare it, or check the address", mq.ErrReturned, queue)
	default:
		return fmt.Errorf("%w: nobody listens on the subject of queue %q, and looking it up: %w", mq.ErrNacked, queue, err)
	}
}
