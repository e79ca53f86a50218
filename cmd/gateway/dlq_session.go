package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"mqgateway/internal/config"
	"mqgateway/internal/mq"
)

// dlqSession is a command's connection to the dead letter queues.
type dlqSession struct {
	cfg      config.Config
	opened   *brokers
	queues   []deadLetterQueue
	stderr   io.Writer
	progress *progress
}

// deadLetterQueue is one dead letter queue on one manager.
type deadLetterQueue struct {
	name, manager string
	broker        mq.Broker
	// named tells that the user named it, so that it has to exist.
	named bool
	// letters is how many it has, once that was looked up.
	letters int
}

func (q deadLetterQueue) String() string { return q.name + " on " + q.manager }

// open loads the configuration and prepares the brokers; none is dialled yet.
func (f *dlqFlags) open(cmd *cobra.Command) (*dlqSession, error) {
	loaded, err := f.files.load()
	if err != nil {
		return nil, err
	}
	names := f.queues
	if len(names) == 0 {
		names = deadLetterQueues(loaded.Config)
	}
	if len(names) == 0 {
		return nil, withHint(errors.New("the configuration reads no queue that could have dead letters"), "name one by --queue")
	}
	opened, err := openForDLQ(cmd.Context(), loaded.Config)
	if err != nil {
		return nil, err
	}
	s := &dlqSession{cfg: loaded.Config, opened: opened, stderr: cmd.ErrOrStderr(), progress: newProgress(cmd.ErrOrStderr())}
	for _, b := range opened.all {
		for _, name := range names {
			if f.manager == "" || f.manager == b.id {
				s.queues = append(s.queues, deadLetterQueue{name: name, manager: b.id, broker: b.driver, named: len(f.queues) > 0})
			}
		}
	}
	if len(s.queues) == 0 {
		s.close()
		return nil, withHint(fmt.Errorf("there is no manager %q", f.manager), "it is one of "+strings.Join(loaded.Config.MQ.ManagerIDs(), ", "))
	}
	return s, nil
}

// deadLetterQueues are those of all queues that are read, each once.
func deadLetterQueues(cfg config.Config) []string {
	read := slices.Concat(cfg.AsyncQueues(), cfg.SyncQueues())
	if one := cfg.MQ.Failure.DeadLetterQueue; one != "" && len(read) > 0 {
		return []string{one}
	}
	var names []string
	for _, queue := range read {
		if name := queue + ".DLQ"; !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

func (s *dlqSession) close() {
	s.opened.close(slog.New(slog.NewTextHandler(s.stderr, nil)))
}

// present are the queues that have letters. It tells of those that have none, and
// goes on after one that can't be looked up.
func (s *dlqSession) present(ctx context.Context) (present []deadLetterQueue, err error) {
	var problems []error
	for _, q := range s.queues {
		q.letters, err = mq.CountLetters(ctx, q.broker, q.name)
		switch {
		case ctx.Err() != nil:
			return nil, errInterrupted
		case errors.Is(err, mq.ErrNoQueue) && !q.named:
			fmt.Fprintf(s.stderr, "%v: there is no such queue, so that there are no dead letters\n", q)
		case err != nil:
			problems = append(problems, fmt.Errorf("looking up %v: %w", q, err))
		case q.letters == 0:
			fmt.Fprintf(s.stderr, "%v: no dead letters\n", q)
		default:
			present = append(present, q)
		}
	}
	return present, errors.Join(problems...)
}

// warnOfDeliveries tells before letters are read only to be given back that this
// is not without a trace.
func (s *dlqSession) warnOfDeliveries(queues []deadLetterQueue) {
	if len(queues) > 0 && s.cfg.MQ.Provider == config.RabbitMQ && deadLetterKind(s.cfg.MQ.Failure.Declare) != mq.Classic {
		fmt.Fprintln(s.stderr, "note: a quorum queue counts this as a delivery of each letter; one with a delivery limit drops letters at that count")
	}
}

// errInterrupted ends a command that was told to stop.
var errInterrupted = errors.New("interrupted: letters in hand are given back")

// inTurn does something with one queue after the other, also after one that fails,
// until ctx ends.
func inTurn(ctx context.Context, queues []deadLetterQueue, do func(deadLetterQueue) error) error {
	var problems []error
	for _, q := range queues {
		problems = append(problems, do(q))
		if ctx.Err() != nil {
			break
		}
	}
	return errors.Join(problems...)
}

// each lets do see the letters of a queue, at most limit when that is not 0. What
// it does not remove is given back.
func (s *dlqSession) each(ctx context.Context, q deadLetterQueue, limit int, do func(*mq.Letters, *mq.Letter) error) error {
	return s.with(ctx, q, limit, func(letters *mq.Letters) error {
		return s.read(ctx, q, letters, func(l *mq.Letter) error { return do(letters, l) })
	})
}

// with opens a queue for do and gives back what is left of its letters.
func (s *dlqSession) with(ctx context.Context, q deadLetterQueue, limit int, do func(*mq.Letters) error) (err error) {
	letters, err := mq.OpenLetters(ctx, q.broker, q.name, limit)
	if err != nil {
		return q.failure(ctx, err)
	}
	defer func() {
		if closing := letters.Close(); closing != nil {
			err = errors.Join(err, fmt.Errorf("giving back letters of %v: %w", q, closing))
		}
	}()
	return do(letters)
}

// read lets do see one letter after the other.
func (s *dlqSession) read(ctx context.Context, q deadLetterQueue, letters *mq.Letters, do func(*mq.Letter) error) error {
	defer s.progress.clear()
	total := letters.Left()
	for {
		letter, err := letters.Next(ctx)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = do(letter)
		}
		if err != nil {
			return q.failure(ctx, err)
		}
		s.progress.tell("%v: %d of %d letters", q, total-letters.Left(), total)
	}
}

// failure tells where something failed, unless the command was interrupted.
func (q deadLetterQueue) failure(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return errInterrupted
	}
	return fmt.Errorf("reading %v: %w", q, err)
}
