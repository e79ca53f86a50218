package main

import (
	"context"
	"crypto/rand"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"mqgateway/internal/config"
	"mqgateway/internal/flow"
)

//go:embed demo/consumer.yml
var demoConsumer []byte

//go:embed demo/provider.yml
var demoProvider []byte

func newDemoCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "demo",
		Short: "Show the gateway at work, with nothing else installed",
		Long: "Runs everything in one process: the embedded broker, a consumer and a provider gateway, a sample\n" +
			"microservice and a sample partner system. Messages go both ways, and each is told on a line.\n" +
			"Ctrl-C ends it.",
		Example: "  gateway demo",
		Args:    noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return demo(cmd.Context(), cmd.OutOrStdout())
		},
	}
}

// demo runs all parts in a folder of its own, until ctx ends.
func demo(ctx context.Context, out io.Writer) error {
	dir, err := os.MkdirTemp("", "gateway-demo-")
	if err != nil {
		return fmt.Errorf("making a folder for the demo: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	d := &demoStage{ctx: ctx, fail: fail, dir: dir, token: rand.Text(), story: newStory(out)}
	defer d.stop()
	err = d.play()
	if ctx.Err() == nil {
		return err
	}
	d.story.end()
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
		return cause
	}
	return nil
}

// demoStage holds the parts of the demo while they run.
type demoStage struct {
	ctx   context.Context //nolint:containedctx // the stage lives as long as one call of demo
	fail  context.CancelCauseFunc
	dir   string
	token string
	story *story
	stops []func()

	service *demoService
	broker  string // where the embedded broker listens
}

// play starts the service, the gateways and the partner, sends the messages, and
// waits for the end of the demo.
func (d *demoStage) play() error {
	service, err := startDemoService(d)
	if err != nil {
		return err
	}
	d.service = service
	consumer, err := d.startGateway("consumer", demoConsumer)
	if err != nil {
		return err
	}
	d.broker = consumer.Broker
	partner, err := startDemoPartner(d)
	if err != nil {
		return err
	}
	provider, err := d.startGateway("provider", demoProvider)
	if err != nil {
		return err
	}
	d.story.begin(consumer, provider)
	if err := d.story.tell(d.ctx, partner, service, provider.GRPC); err != nil {
		return err
	}
	d.story.invite(consumer, provider)
	<-d.ctx.Done()
	return nil
}

// start runs a part until the stage is stopped. A part that fails ends the demo.
func (d *demoStage) start(name string, run func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(d.ctx))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := run(ctx); err != nil {
			d.fail(fmt.Errorf("%s: %w", name, err))
		}
	}()
	d.stops = append(d.stops, func() { cancel(); <-ended })
}

// stop ends the parts, the last one first.
func (d *demoStage) stop() {
	for _, stop := range slices.Backward(d.stops) {
		stop()
	}
}

// startGateway runs a gateway by its configuration, as 'gateway run' does, and
// returns where it listens.
func (d *demoStage) startGateway(name string, text []byte) (addresses, error) {
	file := filepath.Join(d.dir, name+".yml")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		return addresses{}, fmt.Errorf("writing the configuration of the demo: %w", err)
	}
	loaded, err := config.Load([]string{file}, config.Options{Environ: d.environ()})
	if err != nil {
		return addresses{}, err
	}
	started := make(chan addresses, 1)
	d.start(name+" gateway", func(ctx context.Context) error {
		return runGateway(ctx, loaded.Config, gatewayOptions{
			Log:     slog.New(slog.DiscardHandler), // the story tells what happens
			Started: func(a addresses) { started <- a },
			Observe: func(flowName string) flow.Middleware { return d.story.observe },
		})
	})
	select {
	case a := <-started:
		return a, nil
	case <-d.ctx.Done():
		return addresses{}, context.Cause(d.ctx)
	}
}

// environ is what the configurations of the demo take from outside.
func (d *demoStage) environ() []string {
	return []string{
		"HOSTNAME=demo",
		"DEMO_DIRECTORY=" + filepath.Join(d.dir, "broker"),
		"DEMO_TOKEN=" + d.token,
		"DEMO_SERVICE_PORT=" + d.service.port,
		"DEMO_BROKER=" + d.broker,
	}
}
