package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"mqgateway/internal/mq"
)

// defaultLimit is how many letters of a queue are read only to be shown.
const defaultLimit = 1000

func newDLQListCommand() *cobra.Command {
	var flags dlqFlags
	var filter letterFilter
	var limit int
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List dead letters",
		Long: "Reads dead letters from the front of their queues, gives them back in their order, and lists those that\n" +
			"match. RabbitMQ counts that as a delivery on quorum queues.",
		Example: "  gateway dlq list -c application.yml\n" +
			"  gateway dlq list -c application.yml --code 602,606 --newer-than 1h\n" +
			"  gateway dlq list -c application.yml --queue REPLY.UNCLAIMED --json",
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := errors.Join(filter.validate(), validLimit(limit)); err != nil {
				return err
			}
			s, err := flags.open(cmd)
			if err != nil {
				return err
			}
			defer s.close()
			rows, err := s.list(cmd, &filter, limit)
			return errors.Join(printRows(cmd.OutOrStdout(), rows, asJSON), err)
		},
	}
	flags.register(cmd)
	filter.register(cmd)
	registerLimit(cmd, &limit)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object a line")
	return cmd
}

func registerLimit(cmd *cobra.Command, limit *int) {
	cmd.Flags().IntVar(limit, "limit", defaultLimit, "letters that are read of each queue at most; 0 reads all")
}

func validLimit(limit int) error {
	if limit < 0 {
		return fmt.Errorf("--limit %d is negative", limit)
	}
	return nil
}

// list reads the letters that match. They are back in their queue when it
// returns, so that a reader of the output can take all the time.
func (s *dlqSession) list(cmd *cobra.Command, filter *letterFilter, limit int) (rows []letterRow, err error) {
	queues, err := s.present(cmd.Context())
	s.warnOfDeliveries(queues)
	reading := inTurn(cmd.Context(), queues, func(q deadLetterQueue) error {
		read, before := 0, len(rows)
		err := s.each(cmd.Context(), q, limit, func(_ *mq.Letters, l *mq.Letter) error {
			read++
			if filter.matches(l, time.Now()) {
				rows = append(rows, rowOf(q, l))
			}
			return nil
		})
		if err == nil {
			s.summarise(q, read, len(rows)-before)
		}
		return err
	})
	return rows, errors.Join(err, reading)
}

// summarise tells how much of a queue was seen.
func (s *dlqSession) summarise(q deadLetterQueue, read, matched int) {
	fmt.Fprintf(s.stderr, "%v: %d of %s\n", q, matched, counted(q.letters, "dead letter"))
	if read < q.letters {
		fmt.Fprintf(s.stderr, "%v: %d were read; --limit 0 reads all that nobody else has in hand\n", q, read)
	}
}

// letterRow is a dead letter in a list, without its body.
type letterRow struct {
	Manager         string     `json:"manager"`
	DeadLetterQueue string     `json:"deadLetterQueue"`
	FailedAt        *time.Time `json:"failedAt,omitempty"`
	Code            int        `json:"code,omitempty"`
	Name            string     `json:"name,omitempty"`
	Route           string     `json:"route,omitempty"`
	Attempts        int        `json:"attempts,omitempty"`
	SourceQueue     string     `json:"sourceQueue,omitempty"`
	ID              string     `json:"id"`
	CorrelID        string     `json:"correlId,omitempty"`
	Size            int        `json:"size"`
	Reason          string     `json:"reason"`
	Instance        string     `json:"instance,omitempty"`
	Cut             []string   `json:"cut,omitempty"`
}

func rowOf(q deadLetterQueue, l *mq.Letter) letterRow {
	row := letterRow{
		Manager: q.manager, DeadLetterQueue: q.name, Code: int(l.Code), Name: l.Code.Name(), Route: l.Route, Attempts: l.Attempts,
		SourceQueue: l.Queue, ID: l.Message.ID, CorrelID: l.Message.CorrelID, Size: len(l.Message.Body), Reason: l.Reason,
		Instance: l.Instance, Cut: l.Cut,
	}
	if !l.FailedAt.IsZero() {
		row.FailedAt = &l.FailedAt
	}
	return row
}

// printRows prints a table for people, or lines for programs.
func printRows(w io.Writer, rows []letterRow, asJSON bool) error {
	if !asJSON {
		return printTable(w, rows)
	}
	out := json.NewEncoder(w)
	out.SetEscapeHTML(false)
	for _, row := range rows {
		if err := out.Encode(row); err != nil {
			return err
		}
	}
	return nil
}

// shownReason is how much of the reason a table shows, in characters.
const shownReason = 80

func printTable(w io.Writer, rows []letterRow) error {
	if len(rows) == 0 {
		return nil
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	several := slices.ContainsFunc(rows, func(r letterRow) bool { return r.Manager != rows[0].Manager })
	if several {
		fmt.Fprint(table, "MANAGER\t")
	}
	fmt.Fprintln(table, "FAILED AT\tCODE\tROUTE\tATTEMPTS\tSOURCE QUEUE\tID\tSIZE\tREASON")
	for _, r := range rows {
		at := "-"
		if r.FailedAt != nil {
			at = r.FailedAt.UTC().Format(time.RFC3339)
		}
		if several {
			fmt.Fprintf(table, "%s\t", printable(r.Manager))
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%d\t%s\n", at, number(r.Code), cell(r.Route), number(r.Attempts),
			cell(r.SourceQueue), cell(r.ID), r.Size, shortened(printable(r.Reason), shownReason))
	}
	return table.Flush()
}

// cell is a text in a table, where an empty one would be lost.
func cell(text string) string {
	if text == "" {
		return "-"
	}
	return printable(text)
}

func number(n int) string {
	if n == 0 {
		return "-"
	}
	return strconv.Itoa(n)
}
