package main

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"mqgateway/internal/config"
)

// configFiles are the flags of every command that loads a configuration.
type configFiles struct {
	paths   []string
	unknown string
}

// register adds the flags to a command.
func (f *configFiles) register(cmd *cobra.Command) {
	cmd.Flags().StringSliceVarP(&f.paths, "config", "c", nil,
		"configuration files, the strongest first (default: those of /deployments/config that exist)")
	cmd.Flags().StringVar(&f.unknown, "unknown-keys", "error", "what an unknown key is: error or warn")
}

// load reads and checks the configuration.
func (f *configFiles) load() (*config.Loaded, error) {
	unknown, err := config.ParseUnknownKeys(f.unknown)
	if err != nil {
		return nil, fmt.Errorf("--unknown-keys: %w", err)
	}
	if slices.Contains(f.paths, "") {
		return nil, withHint(errors.New("-c: a file name is empty"), "write -c a.yml,b.yml, without blanks and without a comma behind the last one")
	}
	paths := f.paths
	if len(paths) == 0 {
		paths = config.DefaultFiles()
	}
	if len(paths) == 0 {
		return nil, withHint(errors.New("no configuration file"),
			"name one by -c application.yml, or see 'gateway demo' for a first look without one")
	}
	return config.Load(paths, config.Options{Environ: os.Environ(), UnknownKeys: unknown})
}

// watch makes a watcher of the files that first was loaded from; now asks it to load
// them at once. It is nil where that is not possible.
func (f *configFiles) watch(log *slog.Logger, first *config.Loaded, now <-chan os.Signal) *config.Watcher {
	if pipe := first.Pipe(); pipe != "" {
		log.Warn("the configuration comes by a pipe and can't be read again: changing it takes a restart", "place", pipe)
		return nil
	}
	return config.NewWatcher(first, config.WatchOptions{Load: f.load, DefaultFiles: len(f.paths) == 0, Now: now})
}

func newConfigCommand() *cobra.Command {
	var files configFiles
	cmd := &cobra.Command{
		Use:     "config",
		Short:   "Print the merged configuration and where each value comes from",
		Long:    "Prints the configuration as 'run' would use it, with the file and line of each value. Secrets are hidden.",
		Example: "  gateway config -c application.yml,common-config.yml",
		Args:    noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			loaded, err := files.load()
			if err != nil {
				return err
			}
			return loaded.Print(cmd.OutOrStdout())
		},
	}
	files.register(cmd)
	return cmd
}
