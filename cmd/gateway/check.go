package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"mqgateway/internal/config"
)

func newCheckCommand() *cobra.Command {
	var files configFiles
	var connect bool
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Check a configuration",
		Long: "Loads the configuration as 'run' does and compiles everything in it. All problems are listed at once.\n" +
			"Nothing is connected to, unless --connect asks for it: then brokers, queues and the address of the services\n" +
			"are looked for, once, and nothing is changed there. Rights are tried only where instances share a reply queue,\n" +
			"by an exchange and a queue beside it that are gone a minute later.\n" +
			"Exit code 0: all is well; 1: something is not.",
		Example: "  gateway check -c application.yml\n" +
			"  gateway check -c application.yml --connect",
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			loaded, err := files.load()
			if err != nil {
				return err
			}
			for _, w := range loaded.Warnings {
				fmt.Fprintln(cmd.ErrOrStderr(), "warning:", w)
			}
			if _, err := fmt.Fprintln(cmd.OutOrStdout(), summary(loaded.Config)); err != nil || !connect {
				return err
			}
			return reach(cmd.Context(), loaded.Config, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	files.register(cmd)
	cmd.Flags().BoolVar(&connect, "connect", false, "look for brokers, queues and services, too")
	return cmd
}

// summary tells in a line what a checked configuration would run.
func summary(cfg config.Config) string {
	return fmt.Sprintf("configuration is correct: %s gateway, mode %s, provider %s, %s, %s",
		map[bool]string{true: "consumer", false: "provider"}[cfg.MQ.SystemType == "sc"], cfg.MQ.WorkMode, cfg.MQ.Provider,
		counted(len(cfg.AsyncQueues())+len(cfg.SyncQueues()), "receive queue"), counted(len(cfg.Routing.RouteList), "route"))
}
