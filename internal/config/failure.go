package config

import (
	"errors"
	"fmt"
	"slices"

	"mqgateway/internal/field"
	"mqgateway/internal/mq"
	"mqgateway/internal/mq/rabbitmq"
)

// validateFailure checks mq.failure.
func (c MQConfig) validateFailure() error {
	f := c.Failure
	errs := []error{
		c.validateAction("onExhausted", f.OnExhausted),
		c.validateAction("onPermanent", f.OnPermanent),
		field.Under("retry", validateRetry(f.Retry)),
		field.Under("brake", validateBrake(f.Brake)),
	}
	if !slices.Contains([]string{"true", "classic", "false"}, f.Declare) {
		errs = append(errs, field.Errorf("declare", "%q is none of true, classic, false", f.Declare))
	}
	if f.DeadLetterQueue != "" {
		if err := c.Provider.validateQueue(f.DeadLetterQueue); err != nil {
			errs = append(errs, field.Errorf("deadLetterQueue", "%w", err))
		}
	}
	return errors.Join(errs...)
}

// Parks tells whether failed messages may wait for their next try outside of the
// process. RabbitMQ needs a quorum queue for each length of pause.
func (c MQConfig) Parks() bool {
	return !c.ConsumerParams.Ordered && (c.Provider != RabbitMQ || c.Failure.Declare == "true")
}

// adviceOnDelays finds queues whose names leave no room for those of delay queues.
func (c MQConfig) adviceOnDelays() error {
	if !c.Parks() || c.Provider != RabbitMQ {
		return nil
	}
	var errs []error
	look := func(key string, queues []string) {
		for i, queue := range queues {
			if err := rabbitmq.ValidateDelay(queue, c.Failure.Retry.Max); err != nil {
				errs = append(errs, field.Errorf(fmt.Sprintf("mq.connection.%s[%d]", key, i), "messages that fail are only retried in place: %w", err))
			}
		}
	}
	look("receiveQueue", c.Connection.ReceiveQueue)
	look("receiveQueueSync", c.Connection.ReceiveQueueSync)
	return errors.Join(errs...)
}

func (c MQConfig) validateAction(path string, a mq.FailureAction) error {
	if a == mq.RejectIt && c.Provider != RabbitMQ {
		return field.Errorf(path, "provider %s has no dead-lettering of its own, so that reject would lose messages", c.Provider)
	}
	return nil
}

func validateRetry(r mq.RetryConfig) error {
	return errors.Join(
		field.If(r.For < 0, "for", "%s is negative", r.For),
		field.If(r.Attempts < 0, "attempts", "%d is negative", r.Attempts),
		field.If(r.Initial <= 0, "initial", "must be longer than 0"),
		field.If(r.Max < r.Initial, "max", "%s is shorter than the first pause, initial: %s", r.Max, r.Initial),
		field.If(r.Multiplier < 1, "multiplier", "%v is less than 1", r.Multiplier),
		field.If(r.Jitter < 0 || r.Jitter > 1, "jitter", "%v is not from 0 to 1", r.Jitter),
		field.If(r.InPlaceMax < 0, "inPlaceMax", "%s is negative", r.InPlaceMax),
		field.If(r.MaxInFlightShare < 0 || r.MaxInFlightShare > 1, "maxInFlightShare", "%v is not from 0 to 1", r.MaxInFlightShare),
	)
}

func validateBrake(b mq.BrakeConfig) error {
	return errors.Join(
		field.If(b.PermanentShare <= 0 || b.PermanentShare > 1, "permanentShare", "%v is not more than 0, up to 1", b.PermanentShare),
		field.If(b.MinMessages < 1, "minMessages", "must be more than 0"),
		field.If(b.Window <= 0, "window", "must be longer than 0"),
		field.If(b.Pause < 0, "pause", "%s is negative", b.Pause),
	)
}

// validateOrder checks what would break the order of a queue.
func (c MQConfig) validateOrder() error {
	p := c.ConsumerParams
	if !p.Ordered {
		return nil
	}
	var errs []error
	if p.Concurrency != 1 {
		errs = append(errs, twin("concurrency", "mq.consumerParams.ordered", "%d messages at once can't keep their order: remove the key, or set 1", p.Concurrency))
	}
	if n := len(c.ManagerIDs()); n > 1 {
		errs = append(errs, field.Errorf("ordered", "the messages of %d managers have no order: leave one", n))
	}
	return errors.Join(errs...)
}
