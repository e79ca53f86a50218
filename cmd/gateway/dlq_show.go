package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"mqgateway/internal/flow"
	"mqgateway/internal/mq"
)

func newDLQShowCommand() *cobra.Command {
	var flags dlqFlags
	var limit int
	var raw bool
	cmd := &cobra.Command{
		Use:   "show ID",
		Short: "Show a dead letter with all that it carries",
		Long: "Shows the dead letters of a message id: the reason, properties, and headers with their types. The body is\n" +
			"hidden unless --raw is given.",
		Example: "  gateway dlq show -c application.yml 7d1c-42\n" +
			"  gateway dlq show -c application.yml 7d1c-42 --raw",
		Args: oneID,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := validLimit(limit); err != nil {
				return err
			}
			s, err := flags.open(cmd)
			if err != nil {
				return err
			}
			defer s.close()
			shown, err := s.show(cmd, args[0], limit, raw)
			_, printing := io.WriteString(cmd.OutOrStdout(), shown)
			return errors.Join(printing, err)
		},
	}
	flags.register(cmd)
	registerLimit(cmd, &limit)
	cmd.Flags().BoolVar(&raw, "raw", false, "show the body, too, as it is")
	return cmd
}

// oneID takes exactly the id of a message.
func oneID(cmd *cobra.Command, args []string) error {
	if len(args) == 1 {
		return nil
	}
	return withHint(fmt.Errorf("%q takes one message id, not %d", cmd.CommandPath(), len(args)),
		"see 'gateway dlq list' for the ids there are")
}

// show describes the letters of an id. They are back in their queue when it returns.
func (s *dlqSession) show(cmd *cobra.Command, id string, limit int, raw bool) (string, error) {
	queues, err := s.present(cmd.Context())
	s.warnOfDeliveries(queues)
	var out strings.Builder
	err = errors.Join(err, inTurn(cmd.Context(), queues, func(q deadLetterQueue) error {
		return s.each(cmd.Context(), q, limit, func(_ *mq.Letters, l *mq.Letter) error {
			if l.Message.ID == id {
				describe(&out, q, l, raw)
			}
			return nil
		})
	}))
	if out.Len() == 0 && err == nil {
		err = withHint(fmt.Errorf("no dead letter has the id %q", id),
			"see 'gateway dlq list' for those there are; --limit 0 looks at all of a long queue")
	}
	return out.String(), err
}

// describe writes all that a letter carries.
func describe(w *strings.Builder, q deadLetterQueue, l *mq.Letter, raw bool) {
	if w.Len() > 0 {
		fmt.Fprintln(w)
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(table, "%s\t%s\n", name, printable(value))
		}
	}
	line("dead letter", l.Message.ID+" in "+q.String())
	line("source queue", l.Queue)
	if !l.FailedAt.IsZero() {
		line("failed at", l.FailedAt.UTC().Format(time.RFC3339Nano))
	}
	if l.Code != 0 {
		line("code", fmt.Sprintf("%d %s", l.Code, l.Code.Name()))
	}
	line("reason", l.Reason)
	line("route", l.Route)
	if l.Attempts > 0 {
		line("attempts", number(l.Attempts))
	}
	line("instance", l.Instance)
	line("cut headers", strings.Join(l.Cut, ", "))
	_ = table.Flush() // into memory
	describeMessage(w, &l.Message)
	describeBody(w, l.Message.Body, raw)
}

// describeMessage writes the properties that are set and all headers.
func describeMessage(w io.Writer, m *flow.Message) {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "properties")
	for _, p := range flow.Properties {
		if text := p.Text(m); text != "" {
			fmt.Fprintf(table, "  %s\t%s\n", p.Name, printable(text))
		}
	}
	_ = table.Flush() // into memory
	if len(m.Headers) == 0 {
		return
	}
	fmt.Fprintln(table, "headers")
	byName := func(a, b flow.Header) int { return strings.Compare(a.Name, b.Name) } // brokers tell no order
	for _, h := range slices.SortedStableFunc(slices.Values(m.Headers), byName) {
		fmt.Fprintf(table, "  %s\t%s\t%s\n", printable(h.Name), wireType(h.Value), printable(h.Text()))
	}
	_ = table.Flush()
}

// wireType names the type of a header as package flow does.
func wireType(value any) string {
	switch value.(type) {
	case nil:
		return "null"
	case []byte:
		return "bytes"
	case time.Time:
		return "time"
	case flow.Decimal:
		return "decimal"
	case map[string]any:
		return "table"
	case []any:
		return "array"
	default:
		return fmt.Sprintf("%T", value)
	}
}

func describeBody(w *strings.Builder, body []byte, raw bool) {
	if !raw {
		fmt.Fprintf(w, "body: %s, hidden; --raw shows them\n", counted(len(body), "byte"))
		return
	}
	fmt.Fprintf(w, "body: %s\n", counted(len(body), "byte"))
	w.Write(body)
	fmt.Fprintln(w)
}
