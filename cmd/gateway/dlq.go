package main

import (
	"github.com/spf13/cobra"
)

func newDLQCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "dlq",
		Short: "List, show, replay and purge dead letters",
		Long: "Works on the dead letter queues of a gateway: those of its receive queues, on each of its managers. The\n" +
			"gateway may run meanwhile. A command holds the letters that it reads, and gives them back when it ends, by\n" +
			"Ctrl-C, too.\n\n" +
			"An embedded broker that a running gateway has is reached at mq.embedded.listen.",
		Example: "  gateway dlq list -c application.yml --code 602\n" +
			"  gateway dlq replay -c application.yml --code 602 --newer-than 2h",
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newDLQListCommand(), newDLQShowCommand(), newDLQReplayCommand(), newDLQPurgeCommand())
	return cmd
}

// dlqFlags say which dead letter queues a command works on.
type dlqFlags struct {
	files   configFiles
	manager string
	queues  []string
}

func (f *dlqFlags) register(cmd *cobra.Command) {
	f.files.register(cmd)
	flags := cmd.Flags()
	flags.StringVar(&f.manager, "manager", "", "only on the manager of this id (default: on all)")
	flags.StringSliceVar(&f.queues, "queue", nil,
		"dead letter queues, such as REPLY.DLQ or REPLY.UNCLAIMED (default: those of the receive queues)")
}
