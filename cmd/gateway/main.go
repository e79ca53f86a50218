// Command gateway connects message brokers with gRPC microservices.
//
// Each command is one file; run.go is the wiring of a gateway, to be read from
// top to bottom.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"mqgateway/internal/config"
)

// version and commit are set when the binary is built.
var (
	version = "development"
	commit  = "unknown"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	os.Exit(execute(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// execute runs one command and returns the exit code of the process.
func execute(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := newRootCommand()
	root.SetArgs(longRun(args))
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	if v, ok := errors.AsType[verdict](err); ok {
		return int(v)
	}
	report(stderr, err)
	return 1
}

// verdict is the end of a command that has told its outcome itself, so that only
// the exit code is left to say.
type verdict int

func (v verdict) Error() string { return fmt.Sprintf("exit code %d", int(v)) }

// report tells an error as one clear line and a hint, and the problems of a
// configuration as a list.
func report(stderr io.Writer, err error) {
	if problems, ok := errors.AsType[config.Problems](err); ok {
		fmt.Fprintf(stderr, "%v\ngateway: the configuration has %s\n", problems, counted(len(problems), "problem"))
		return
	}
	fmt.Fprintln(stderr, "gateway:", err)
	if hint, ok := errors.AsType[*hintedError](err); ok {
		fmt.Fprintln(stderr, hint.hint)
	}
}

// counted is a number with its noun.
func counted(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return fmt.Sprintf("%d %s", n, noun)
}

// newRootCommand puts the commands together. Without a command the gateway runs,
// as the reference product's binary does.
func newRootCommand() *cobra.Command {
	run := newRunCommand()
	root := &cobra.Command{
		Use:           "gateway",
		Short:         "Connects message brokers with gRPC microservices",
		Example:       run.Example,
		Args:          noArguments,
		RunE:          run.RunE,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.Flags().AddFlagSet(run.Flags())
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return withHint(err, "see '"+cmd.CommandPath()+" --help'")
	})
	root.AddCommand(run, newCheckCommand(), newConfigCommand(), newRouteCommand(), newTestCommand(),
		newDLQCommand(), newDemoCommand(), newVersionCommand())
	return root
}

// hintedError is an error with a line that tells what to do.
type hintedError struct {
	error
	hint string
}

func (e *hintedError) Unwrap() error { return e.error }

func withHint(err error, hint string) error { return &hintedError{err, hint} }
