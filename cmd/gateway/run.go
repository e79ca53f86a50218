package main

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"os"
	"runtime/debug"
	"slices"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"mqgateway/internal/admin"
	"mqgateway/internal/config"
	"mqgateway/internal/flow"
	"mqgateway/internal/grpcclient"
	"mqgateway/internal/grpcsrv"
	"mqgateway/internal/mapping"
	"mqgateway/internal/middleware"
	"mqgateway/internal/mq"
	"mqgateway/internal/telemetry"
)

func newRunCommand() *cobra.Command {
	var files configFiles
	var level string
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Run a gateway (also without the word run)",
		Long: "Runs a gateway until it is told to stop: by SIGTERM or Ctrl-C, which let it finish what is in work; a\n" +
			"second one ends it at once. The log goes to standard output. Brokers and services that are away are\n" +
			"waited for. SIGHUP reads the configuration again. Exit code 0: it was stopped; 1: it could not start.",
		Example: "  gateway run -c application.yml\n" +
			"  gateway -c application.yml,common-config.yml -l debug",
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			loaded, err := files.load()
			if err != nil {
				return err
			}
			log, err := newLogger(os.Stdout, level, loaded.Config.Logging.Level)
			if err != nil {
				return err
			}
			warn(log, loaded.Warnings)
			collectLess()
			return runGateway(cmd.Context(), loaded.Config, gatewayOptions{Log: log, Watcher: files.watch(log, loaded, hangups())})
		},
	}
	files.register(cmd)
	cmd.Flags().StringVarP(&level, "level", "l", "", "log level: debug, info, warn or error (default: logging.level)")
	return cmd
}

// newLogger logs at the level of the command line, else of the configuration.
func newLogger(w *os.File, flag, configured string) (*slog.Logger, error) {
	level, err := telemetry.ParseLevel(cmp.Or(flag, configured))
	if err != nil {
		return nil, withHint(err, "set it by -l or logging.level")
	}
	return telemetry.NewLogger(w, level), nil
}

// collectLess trades memory for CPU: the heap of a gateway is small and its
// garbage is short-lived messages. GOGC in the environment has the last word.
func collectLess() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(400)
	}
}

// gatewayOptions are what a gateway needs beside its configuration.
type gatewayOptions struct {
	Log *slog.Logger
	// Watcher, when set, notices changes of the configuration, which are then applied.
	Watcher *config.Watcher
	// Started is told the addresses once everything listens.
	Started func(addresses)
	// Observe, when set, stands outside of everything in the flow of that name.
	Observe func(flowName string) flow.Middleware
}

// addresses are where a running gateway listens.
type addresses struct {
	GRPC, HTTP, Broker string
}

// runGateway runs a gateway until ctx ends, and then stops it in order. It is
// the wiring, in one straight line: each part needs those above it, and the
// defers close them in the other direction.
func runGateway(ctx context.Context, cfg config.Config, o gatewayOptions) error {
	log := o.Log.With("instance", cfg.MQ.Instance)
	registry := telemetry.NewRegistry(version, commit)
	queues := mq.NewMetrics(registry)
	opened, err := openBrokers(cfg)
	if err != nil {
		return err
	}
	defer opened.close(log)
	managers := opened.managers(cfg, log, queues)
	callers, err := grpcclient.Open(cfg.GRPC.Client)
	if err != nil {
		return err
	}
	defer callers.Close()

	now := &live{}
	p := &parts{
		options: o, log: log, counts: middleware.NewMetrics(registry), metrics: queues, managers: managers,
		publisher: mq.NewPublisher(managers, cfg.MQ.Connection.ConfirmTimeout), callers: callers,
	}
	p.answerer = p.newAnswerer(now)
	s := &sources{parts: p, cfg: cfg, now: now}
	requests := newRequests(s)
	first, err := newFlows(p, cfg)
	if err != nil {
		return err
	}
	now.flows.Store(first)
	changes := newReloader(s, newReloadMetrics(registry))
	var stopping atomic.Bool
	ready := func() bool { return !stopping.Load() && managers.Available() && requests.ready() }

	server, err := grpcsrv.Open(cfg.GRPC.Server, s.server(ready))
	if err != nil {
		return err
	}
	defer func() { _ = server.Close() }()
	probes, err := admin.Open(probesPort(cfg), health(ready, managers), registry)
	if err != nil {
		return err
	}
	o.tellStart(log, cfg, addresses{GRPC: server.Addr(), HTTP: probes.Addr(), Broker: opened.address()})

	base := append(runs{probes.Run}, requests.readers...)
	for _, m := range managers.All() {
		base = append(base, m.Run)
	}
	incoming := slices.Concat(runs{server.Run}, s.listeners(), s.expiries())
	if o.Watcher != nil {
		incoming = append(incoming, func(ctx context.Context) error { return o.Watcher.Run(ctx, changes.reload) })
	}
	err = runUntil(ctx, incoming, base, func(serving context.Context) {
		log.Info("gateway is stopping", "delay", cfg.Shutdown.Delay.String())
		stopping.Store(true)
		wait(serving, cfg.Shutdown.Delay)
	})
	log.Info("gateway is stopped")
	return err
}

// runs are what parts do until their context ends.
type runs []func(context.Context) error

// start runs all of them. Running ends when one of them fails, too.
func (r runs) start(ctx context.Context) (group *errgroup.Group, running context.Context) {
	group, running = errgroup.WithContext(ctx)
	for _, run := range r {
		group.Go(func() error { return run(running) })
	}
	return group, running
}

// runUntil runs everything until ctx ends, which it tells by stopping, or something
// fails, which is the error. It stops what messages come in by, and then the base, which
// that needs until its last message.
func runUntil(ctx context.Context, incoming, base runs, stopping func(serving context.Context)) error {
	alive, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	below, alive := base.start(alive)
	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	sources, serving := incoming.start(serving)
	select {
	case <-ctx.Done():
		stopping(serving)
	case <-serving.Done(): // a source failed
	case <-alive.Done(): // a probe or manager failed
	}
	stop()
	err := sources.Wait()
	end()
	return cmp.Or(err, below.Wait())
}

// tellStart tells where a gateway listens, once everything does.
func (o gatewayOptions) tellStart(log *slog.Logger, cfg config.Config, at addresses) {
	if o.Started != nil {
		o.Started(at)
	}
	told := []any{
		"version", version, "systemType", cfg.MQ.SystemType, "workMode", cfg.MQ.WorkMode,
		"provider", cfg.MQ.Provider, "grpc", at.GRPC, "http", at.HTTP,
	}
	if at.Broker != "" {
		told = append(told, "embedded", at.Broker)
	}
	log.Info("gateway is started", told...)
}

// observe is a middleware that does nothing when nobody observes.
func (o gatewayOptions) observe(flowName string) flow.Middleware {
	if o.Observe == nil {
		return func(next flow.Handler) flow.Handler { return next }
	}
	return o.Observe(flowName)
}

// outboundOptions say how messages for the brokers are made.
func outboundOptions(cfg config.Config, managers *mq.Managers) mapping.OutboundOptions {
	var ids []string
	for _, m := range managers.All() {
		ids = append(ids, m.ID())
	}
	return mapping.OutboundOptions{
		Role: cfg.MQ.SystemType, SendQueue: cfg.MQ.Connection.SendQueue,
		CustomDestination: cfg.MQ.Connection.SendToCustomDestination,
		Defaults:          cfg.MQ.Outbound, Managers: ids, User: cfg.MQ.User(), ReplyByCorrelID: cfg.MQ.ReplyByCorrelID,
		Tag: mq.Tag(cfg.MQ.Instance), MaxProcessingTime: cfg.MQ.SyncReceiver.MaxProcessingTime,
	}
}

// probesPort is management.server.port, else server.port.
func probesPort(cfg config.Config) admin.Config {
	if cfg.Management.Server.Port != 0 {
		return admin.Config{Port: cfg.Management.Server.Port}
	}
	return cfg.Server
}

// health reports the managers, and readiness as ready tells it.
func health(ready func() bool, managers *mq.Managers) admin.Health {
	return func() admin.Report {
		report := admin.Report{Ready: ready(), Components: map[string]admin.Component{}}
		for _, m := range managers.All() {
			report.Components[fmt.Sprintf("manager %s", m.ID())] = component(managers, m)
		}
		return report
	}
}

// wait lets the delay pass, unless ctx ends before.
func wait(ctx context.Context, delay time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, delay)
	defer cancel()
	<-ctx.Done()
}
