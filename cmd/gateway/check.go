package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"mqgateway/internal/config"
)

func newCheckCommand() *cobra.Command {
	var files configFiles
	cmd := &cobra.Command{
		Use:     "check",
		Short:   "Check a configuration without connecting to anything",
		Long:    "Loads the configuration as 'run' does and compiles everything in it. All problems are listed at once.\nExit code 0: it would start; 1: it would not.",
		Example: "  gateway check -c application.yml",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			loaded, err := files.load()
			if err != nil {
				return err
			}
			for _, w := range loaded.Warnings {
				fmt.Fprintln(cmd.ErrOrStderr(), "warning:", w)
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), summary(loaded.Config))
			return err
		},
	}
	files.register(cmd)
	return cmd
}

// summary tells in a line what a checked configuration would run.
func summary(cfg config.Config) string {
	return fmt.Sprintf("configuration is correct: %s gateway, mode %s, provider %s, %d receive queues, %d routes",
		map[bool]string{true: "consumer", false: "provider"}[cfg.MQ.SystemType == "sc"], cfg.MQ.WorkMode, cfg.MQ.Provider,
		len(cfg.AsyncQueues())+len(cfg.SyncQueues()), len(cfg.Routing.RouteList))
}
