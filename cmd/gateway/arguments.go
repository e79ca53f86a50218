package main

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// noArguments refuses what is no flag, and tells what may be meant.
func noArguments(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	cmd.SuggestionsMinimumDistance = 2 // letters
	hint := "see '" + cmd.CommandPath() + " --help'"
	switch near := cmd.SuggestionsFor(args[0]); {
	case len(near) > 0:
		hint = fmt.Sprintf("did you mean '%s %s'?", cmd.CommandPath(), near[0])
	case isConfiguration(args[0]) && cmd.Flag("config") != nil:
		hint = fmt.Sprintf("name configuration files by -c: %s -c %s", cmd.CommandPath(), strings.Join(args, ","))
	}
	if cmd.HasSubCommands() {
		return withHint(fmt.Errorf("unknown command %q for %q", args[0], cmd.CommandPath()), hint)
	}
	return withHint(fmt.Errorf("%q takes no argument %q", cmd.CommandPath(), args[0]), hint)
}

// isConfiguration tells a file name that looks like a configuration.
func isConfiguration(name string) bool {
	return slices.Contains([]string{".yml", ".yaml", ".json"}, filepath.Ext(name))
}
