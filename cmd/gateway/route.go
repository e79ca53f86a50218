package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"mqgateway/internal/config"
	"mqgateway/internal/flow"
	"mqgateway/internal/routing"
)

func newRouteCommand() *cobra.Command {
	var files configFiles
	var message messageFlags
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "route",
		Short: "Explain where a message goes, with no broker",
		Long: "Does with a message what 'run' would do between the queue and the service, and tells each step: the\n" +
			"rules that were tried, what they found, variables, the entry that is used, the destination.\n\n" +
			"The message is the body as it came, in any charset and compression; headers are given beside it. It is\n" +
			"taken as read from the first receive queue. Exit code 0: it has a destination; 2: it has none; 1: the\n" +
			"configuration or the command line is wrong.",
		Example: "  gateway route -c application.yml --message payment.xml --header OperationName=PaymentRq\n" +
			"  gateway route -c application.yml --message legacy.xml --system 'ContentType=text/xml; charset=windows-1251'\n" +
			"  gateway route -c new-routing.yml,application.yml --message - --json < payment.json",
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			loaded, err := files.load()
			if err != nil {
				return err
			}
			run, err := newDryRun(loaded.Config)
			if err != nil {
				return err
			}
			m, err := message.read(run, cmd.InOrStdin())
			if err != nil {
				return err
			}
			received := fmt.Sprintf("%s, %d bytes, %s", message.name(), len(m.Body), origin(m))
			x := run.explain(cmd.Context(), m)
			if asJSON {
				err = writeJSON(cmd.OutOrStdout(), x)
			} else {
				adviseOn(cmd.ErrOrStderr(), loaded.Warnings)
				err = printExplanation(cmd.OutOrStdout(), received, x)
			}
			if err == nil && x.Error != nil {
				err = verdict(2)
			}
			return err
		},
	}
	files.register(cmd)
	message.register(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}

// adviseOn prints the warnings about routing; 'check' has the others.
func adviseOn(w io.Writer, warnings []config.Problem) {
	for _, p := range warnings {
		if p.Path == "routing" || strings.HasPrefix(p.Path, "routing.") {
			fmt.Fprintln(w, "warning:", p)
		}
	}
}

// writeJSON prints one JSON object, readable as it is.
func writeJSON(w io.Writer, object any) error {
	out := json.NewEncoder(w)
	out.SetEscapeHTML(false)
	out.SetIndent("", "  ")
	return out.Encode(object)
}

// printExplanation prints an explanation for people; received says of what.
func printExplanation(w io.Writer, received string, x *routing.Explanation) error {
	l := layout{colours: paletteFor(w)}
	l.add("message", received, "")
	l.addSteps(x)
	_, err := io.WriteString(w, l.String()+"\n"+l.outcome(x))
	return err
}

// origin tells where a message is taken to come from.
func origin(m *flow.Message) string {
	switch {
	case m.Call != nil:
		return "as if it came by a call"
	case m.Source.Queue != "":
		return "as if read from " + m.Source.Queue
	default:
		return "from no queue"
	}
}

// messageFlags describe a message on the command line.
type messageFlags struct {
	file, authority             string
	headers, system, grpcHeader []string
}

// standardInput is the file name that stands for it.
const standardInput = "-"

func (f *messageFlags) register(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVarP(&f.file, "message", "m", "", "file with the body of the message; - reads standard input")
	flags.StringArrayVar(&f.headers, "header", nil, "user header, as name=text; may be repeated")
	flags.StringArrayVar(&f.system, "system", nil, "system header by any of its names, as name=text; may be repeated")
	flags.StringArrayVar(&f.grpcHeader, "grpc-header", nil, "metadata of an incoming call, as name=text; may be repeated")
	flags.StringVar(&f.authority, "authority", "", "authority of an incoming call")
}

func (f *messageFlags) name() string {
	if f.file == standardInput {
		return "standard input"
	}
	return f.file
}

// read makes the message.
func (f *messageFlags) read(run *dryRun, stdin io.Reader) (*flow.Message, error) {
	d := run.draft()
	if f.authority != "" {
		d.setAuthority(f.authority)
	}
	for _, flag := range []struct {
		name   string
		values []string
		set    func(name, text string) error
	}{
		{"grpc-header", f.grpcHeader, d.setMetadata},
		{"header", f.headers, d.setHeader},
		{"system", f.system, d.setSystem},
	} {
		if err := setAll(flag.name, flag.values, flag.set); err != nil {
			return nil, err
		}
	}
	body, err := f.body(stdin)
	if err != nil {
		return nil, err
	}
	d.message.Body = body
	return d.read(), nil
}

func setAll(flag string, values []string, set func(name, text string) error) error {
	for _, v := range values {
		name, text, ok := strings.Cut(v, "=")
		if !ok {
			return withHint(fmt.Errorf("--%s %q has no =", flag, v), fmt.Sprintf("write --%s name=text", flag))
		}
		if err := set(strings.TrimSpace(name), text); err != nil {
			return fmt.Errorf("--%s %q: %w", flag, name, err)
		}
	}
	return nil
}

// body reads the file, or standard input.
func (f *messageFlags) body(stdin io.Reader) ([]byte, error) {
	switch f.file {
	case "":
		return nil, withHint(errors.New("no message"), "name its body by --message payment.xml, or --message - for standard input")
	case standardInput:
		body, err := io.ReadAll(stdin)
		if err != nil {
			return nil, fmt.Errorf("reading standard input: %w", err)
		}
		return body, nil
	default:
		body, err := os.ReadFile(f.file)
		if err != nil {
			return nil, fmt.Errorf("reading the message %q: %w", f.file, withoutPath(err))
		}
		return body, nil
	}
}

// withoutPath is an error without the name of the file, which is told already.
func withoutPath(err error) error {
	if pathErr, ok := errors.AsType[*fs.PathError](err); ok {
		return pathErr.Err
	}
	return err
}
