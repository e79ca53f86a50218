package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"mqgateway/internal/flow"
	"mqgateway/internal/mq"
)

func newDLQReplayCommand() *cobra.Command {
	var flags dlqFlags
	var r replay
	cmd := &cobra.Command{
		Use:   "replay",
		Short: "Publish messages of dead letters again",
		Long: "Publishes each message as it was to the queue that it was read from, and removes the dead letter once the\n" +
			"broker has confirmed that. One after the other, in their order; letters that fail again meanwhile are not\n" +
			"replayed twice. Exit code 0: all that match are replayed; 1: some are not, and stay where they are.\n\n" +
			"Without a filter all letters are replayed, which is asked for first.",
		Example: "  gateway dlq replay -c application.yml --code 602 --newer-than 2h\n" +
			"  gateway dlq replay -c application.yml --route Payment --dry-run\n" +
			"  gateway dlq replay -c application.yml --id 7d1c-42 --to ORDERS.REPAIRED",
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := r.filter.validate(); err != nil {
				return err
			}
			if r.asks() {
				if err := r.confirm.possible(cmd, "replaying all dead letters, without a filter,"); err != nil {
					return err
				}
			}
			s, err := flags.open(cmd)
			if err != nil {
				return err
			}
			defer s.close()
			return r.run(cmd, s)
		},
	}
	flags.register(cmd)
	r.filter.register(cmd)
	r.confirm.register(cmd)
	cmd.Flags().StringVar(&r.to, "to", "", "queue to publish to (default: the one that the message was read from)")
	cmd.Flags().BoolVar(&r.dryRun, "dry-run", false, "only list what would be replayed")
	return cmd
}

// replay is one run of the command.
type replay struct {
	filter  letterFilter
	confirm confirmation
	to      string
	dryRun  bool

	session *dlqSession
	out     io.Writer
	rows    []letterRow // of a queue in a dry run
}

// asks tells that the user has to confirm.
func (r *replay) asks() bool { return r.filter.empty() && !r.dryRun }

func (r *replay) run(cmd *cobra.Command, s *dlqSession) error {
	r.session, r.out = s, cmd.OutOrStdout()
	ctx := cmd.Context()
	queues, err := s.present(ctx)
	if len(queues) > 0 && r.asks() {
		if declined := r.confirm.ask(cmd, "Replay "+inventory(queues)+"?"); declined != nil {
			return errors.Join(err, declined)
		}
	}
	if r.dryRun {
		s.warnOfDeliveries(queues)
	}
	return errors.Join(err, inTurn(ctx, queues, func(q deadLetterQueue) error { return r.queue(ctx, q) }))
}

// inventory tells how many letters are where.
func inventory(queues []deadLetterQueue) string {
	parts := make([]string, len(queues))
	for i, q := range queues {
		parts[i] = fmt.Sprintf("%s of %v", counted(q.letters, "dead letter"), q)
	}
	return strings.Join(parts, ", ")
}

// replayCounts are what became of the letters of a queue.
type replayCounts struct {
	replayed, failed, others int
	// inRow counts failures one after the other that are the broker's.
	inRow int
}

// queue replays what matches in a queue.
func (r *replay) queue(ctx context.Context, q deadLetterQueue) error {
	var n replayCounts
	err := r.session.each(ctx, q, 0, func(letters *mq.Letters, l *mq.Letter) error {
		switch {
		case !r.filter.matches(l, time.Now()):
			n.others++
			return nil
		case r.dryRun:
			n.replayed++
			r.rows = append(r.rows, rowOf(q, l))
			return nil
		default:
			return r.letter(ctx, q, letters, l, &n)
		}
	})
	verb := "replayed"
	if r.dryRun {
		verb = "would be replayed"
		err = errors.Join(err, printTable(r.out, r.rows))
		r.rows = nil
	}
	fmt.Fprintf(r.out, "%v: %s %s, %d failed, %d did not match\n", q, counted(n.replayed, "letter"), verb, n.failed, n.others)
	if n.failed > 0 && err == nil {
		err = withHint(fmt.Errorf("%s of %v not replayed, still there", counted(n.failed, "dead letter"), q),
			"mend what is told above, and replay again")
	}
	return err
}

const (
	// publishTimeout bounds one publish, beyond the confirm timeout of the drivers.
	publishTimeout = time.Minute
	// brokerFailures in a row end a replay.
	brokerFailures = 3
	// shownFailures of a queue are told one by one.
	shownFailures = 20
)

// letter replays one letter. Its failure is told, and is no error unless it lets
// all the others fail, too.
func (r *replay) letter(ctx context.Context, q deadLetterQueue, letters *mq.Letters, l *mq.Letter, n *replayCounts) error {
	// An interrupted command waits for the confirm: the letter would come twice.
	within, cancel := context.WithTimeout(context.WithoutCancel(ctx), publishTimeout)
	defer cancel()
	err := r.publish(within, q, letters, l)
	if err == nil {
		n.replayed++
		n.inRow = 0
		if len(l.Cut) > 0 {
			r.tell("%v: replayed without headers that the dead letter could not hold: %s", l.Message.ID, strings.Join(l.Cut, ", "))
		}
		return nil
	}
	n.failed++
	if n.failed <= shownFailures {
		r.tell("%v: not replayed: %v", l.Message.ID, err)
	}
	if ofMessage(err) {
		n.inRow = 0
		return nil
	}
	if n.inRow++; n.inRow >= brokerFailures {
		return fmt.Errorf("giving up after %d failures in a row: %w", n.inRow, err)
	}
	return nil
}

func (r *replay) tell(format string, args ...any) {
	r.session.progress.clear()
	fmt.Fprintln(r.session.stderr, printable(fmt.Sprintf(format, args...)))
}

// errNoTarget tells that a letter names no queue that could take its message.
var errNoTarget = errors.New("it does not tell which queue it was read from; name one by --to")

func (r *replay) publish(ctx context.Context, q deadLetterQueue, letters *mq.Letters, l *mq.Letter) error {
	to := cmp.Or(r.to, l.Queue)
	if to == "" || to == q.name {
		return errNoTarget
	}
	return letters.Replay(ctx, l, to)
}

// ofMessage tells that a publish failed for a reason that need not concern others.
func ofMessage(err error) bool {
	return errors.Is(err, errNoTarget) || errors.Is(err, mq.ErrReturned) || errors.Is(err, mq.ErrNacked) || flow.CodeOf(err) == flow.BadMessage
}
