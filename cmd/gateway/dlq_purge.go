package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"mqgateway/internal/flow"
	"mqgateway/internal/mq"
)

func newDLQPurgeCommand() *cobra.Command {
	var flags dlqFlags
	var filter letterFilter
	var confirm confirmation
	cmd := &cobra.Command{
		Use:   "purge",
		Short: "Remove dead letters for ever",
		Long:  "Removes the dead letters that match, or all without a filter. It tells how many and asks first.",
		Example: "  gateway dlq purge -c application.yml --older-than 30d\n" +
			"  gateway dlq purge -c application.yml --queue REPLY.UNCLAIMED --yes",
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := errors.Join(filter.validate(), confirm.possible(cmd, "removing dead letters")); err != nil {
				return err
			}
			s, err := flags.open(cmd)
			if err != nil {
				return err
			}
			defer s.close()
			queues, err := s.present(cmd.Context())
			remove := s.purgeAll
			if !filter.empty() {
				remove = func(ctx context.Context, q deadLetterQueue, ask func(int) error) (int, error) {
					return s.purgeMatching(ctx, q, &filter, ask)
				}
			}
			return errors.Join(err, purge(cmd, queues, confirm, remove))
		},
	}
	flags.register(cmd)
	filter.register(cmd)
	confirm.register(cmd)
	return cmd
}

// purge removes letters of one queue after the other, and asks for each.
func purge(cmd *cobra.Command, queues []deadLetterQueue, confirm confirmation,
	remove func(ctx context.Context, q deadLetterQueue, ask func(int) error) (int, error),
) error {
	return inTurn(cmd.Context(), queues, func(q deadLetterQueue) error {
		ask := func(n int) error {
			return confirm.ask(cmd, fmt.Sprintf("Remove %s of %v for ever?", counted(n, "dead letter"), q))
		}
		removed, err := remove(cmd.Context(), q, ask)
		if err == nil || removed > 0 {
			fmt.Fprintf(cmd.OutOrStdout(), "%v: %s removed\n", q, counted(removed, "letter"))
		}
		return err
	})
}

// purgeAll lets the broker empty the queue.
func (s *dlqSession) purgeAll(ctx context.Context, q deadLetterQueue, ask func(int) error) (int, error) {
	admin, ok := q.broker.(mq.Admin)
	if !ok {
		return 0, errors.New("the broker does not empty queues")
	}
	if err := ask(q.letters); err != nil {
		return 0, err
	}
	removed, err := admin.Purge(ctx, q.name)
	if err != nil {
		return removed, fmt.Errorf("emptying %v: %w", q, err)
	}
	return removed, nil
}

// purgeMatching holds all letters while it asks, so that exactly those that were
// counted are removed.
func (s *dlqSession) purgeMatching(ctx context.Context, q deadLetterQueue, filter *letterFilter, ask func(int) error) (removed int, err error) {
	err = s.with(ctx, q, 0, func(letters *mq.Letters) error {
		matching, err := s.matching(ctx, q, letters, filter)
		if err != nil || len(matching) == 0 {
			return err
		}
		if err := ask(len(matching)); err != nil {
			return err
		}
		for _, l := range matching {
			if ctx.Err() != nil {
				return errInterrupted
			}
			if err := letters.Remove(l); err != nil {
				return fmt.Errorf("removing a letter of %v: %w", q, err)
			}
			removed++
		}
		return nil
	})
	return removed, err
}

// matching reads all letters and returns those that match, without their messages.
func (s *dlqSession) matching(ctx context.Context, q deadLetterQueue, letters *mq.Letters, filter *letterFilter) (matching []*mq.Letter, err error) {
	err = s.read(ctx, q, letters, func(l *mq.Letter) error {
		if filter.matches(l, time.Now()) {
			l.Message = flow.Message{}
			matching = append(matching, l)
		}
		return nil
	})
	return matching, err
}
