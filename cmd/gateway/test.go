package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"mqgateway/internal/config"
)

func newTestCommand() *cobra.Command {
	var o testOptions
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "test -c files cases.yml...",
		Short: "Run table tests of a configuration, with no broker",
		Long: "Does with the message of each case what 'run' would do between the queue and the service, and compares\n" +
			"route, variables, destination, headers, body or error with what the case expects. For a case that fails,\n" +
			"the steps that explain it are told, as by 'route'. Exit code 0: all cases pass; 1: one fails, or the\n" +
			"configuration, a file of cases or the command line is wrong.",
		Example: "  gateway test -c application.yml tests/*.yml\n" +
			"  gateway test -c application.yml -run 'refund|payment' tests/*.yml",
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			run, cases, err := o.load(args, cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			var r testReport
			for _, c := range cases {
				r.add(run.runCase(cmd.Context(), c))
			}
			if asJSON {
				err = writeJSON(cmd.OutOrStdout(), r)
			} else {
				err = r.print(cmd.OutOrStdout())
			}
			if err == nil && r.Failed > 0 {
				err = verdict(1)
			}
			return err
		},
	}
	o.files.register(cmd)
	cmd.Flags().StringVar(&o.pattern, "run", "", "run only the cases whose name matches the regular expression (also -run)")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}

// testOptions say what is tested.
type testOptions struct {
	files configFiles
	// pattern chooses cases by name; empty chooses all.
	pattern string
}

// load reads the configuration and the chosen cases. The problems of files of cases
// go to w, one a line.
func (o *testOptions) load(args []string, w io.Writer) (*dryRun, []loadedCase, error) {
	choose, err := regexp.Compile(o.pattern)
	if err != nil {
		return nil, nil, fmt.Errorf("--run %q is no regular expression: %w", o.pattern, err)
	}
	paths, err := caseFiles(args)
	if err != nil {
		return nil, nil, err
	}
	loaded, err := o.files.load()
	if err != nil {
		return nil, nil, err
	}
	run, err := newDryRun(loaded.Config)
	if err != nil {
		return nil, nil, err
	}
	cases, problems := loadAll(paths, run)
	if len(problems) > 0 {
		fmt.Fprintln(w, problems)
		return nil, nil, fmt.Errorf("the test files have %s", counted(len(problems), "problem"))
	}
	cases = slices.DeleteFunc(cases, func(c loadedCase) bool { return !choose.MatchString(c.name) })
	if len(cases) == 0 {
		return nil, nil, fmt.Errorf("--run %q chooses none of the cases", o.pattern)
	}
	return run, cases, nil
}

// longRun lets the flag be written as 'go test' has it: -run. The flag library
// would take that for three flags.
func longRun(args []string) []string {
	if len(args) == 0 || args[0] != "test" {
		return args
	}
	long := make([]string, len(args))
	for i, arg := range args {
		if arg == "-run" || strings.HasPrefix(arg, "-run=") {
			arg = "-" + arg
		}
		long[i] = arg
	}
	return long
}

// caseFiles are the files that the arguments name. A pattern that the shell has
// left alone is looked up.
func caseFiles(args []string) ([]string, error) {
	if len(args) == 0 {
		return nil, withHint(errors.New("no test files"), "name them, as in: gateway test -c application.yml tests/*.yml")
	}
	var paths []string
	for _, arg := range args {
		if _, err := os.Stat(arg); err == nil {
			paths = append(paths, arg)
			continue
		}
		found, err := filepath.Glob(arg)
		if err != nil || len(found) == 0 {
			return nil, fmt.Errorf("no test file %q", arg)
		}
		paths = append(paths, found...)
	}
	return paths, nil
}

// loadAll reads all files of cases.
func loadAll(paths []string, run *dryRun) (all []loadedCase, problems config.Problems) {
	for _, path := range paths {
		cases, wrong := loadCases(path, run)
		all, problems = append(all, cases...), append(problems, wrong...)
	}
	return all, problems
}
