package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"runtime/debug"
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
	"mqgateway/internal/routing"
	"mqgateway/internal/telemetry"
)

func newRunCommand() *cobra.Command {
	var files configFiles
	var level string
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Run a gateway (also without the word run)",
		Example: "  gateway run -c application.yml\n" +
			"  gateway -c application.yml,common-config.yml -l debug",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			loaded, err := files.load()
			if err != nil {
				return err
			}
			log, err := newLogger(os.Stdout, level, loaded.Config.Logging.Level)
			if err != nil {
				return err
			}
			for _, w := range loaded.Warnings {
				log.Warn("configuration", "place", w.Place.String(), "key", w.Path, "problem", w.Text, "hint", w.Hint)
			}
			collectLess()
			return runGateway(cmd.Context(), loaded.Config, gatewayOptions{Log: log})
		},
	}
	files.register(cmd)
	cmd.Flags().StringVarP(&level, "level", "l", "", "log level: debug, info, warn or error (default: logging.level)")
	return cmd
}

// newLogger logs at the level of the command line, else of the configuration.
func newLogger(w *os.File, flag, configured string) (*slog.Logger, error) {
	if flag == "" {
		flag = configured
	}
	var level slog.LevelVar
	parsed, err := telemetry.ParseLevel(flag)
	if err != nil {
		return nil, withHint(err, "set it by -l or logging.level")
	}
	level.Set(parsed)
	return telemetry.NewLogger(w, &level), nil
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
	// Started is told the addresses once everything listens.
	Started func(addresses)
	// Observe, when set, stands outside of everything in the flow of that name.
	Observe func(flowName string) flow.Middleware
}

// addresses are where a running gateway listens.
type addresses struct {
	GRPC, HTTP, Broker string
}

// The flows, as metrics and logs name them.
const (
	queueToService = "queue-to-service"
	serviceToQueue = "service-to-queue"
)

// runGateway runs a gateway until ctx ends, and then stops it in order. It is
// the wiring, in one straight line: each part needs those above it, and the
// defers close them in the other direction.
func runGateway(ctx context.Context, cfg config.Config, o gatewayOptions) error {
	log := o.Log.With("instance", cfg.MQ.Instance)
	registry := telemetry.NewRegistry(version, commit)
	counts := middleware.NewMetrics(registry)
	queues := mq.NewMetrics(registry)

	opened, err := openBrokers(cfg)
	if err != nil {
		return err
	}
	defer opened.close(log)
	managers := &mq.Managers{}
	for _, b := range opened.all {
		managers.Add(b.id, b.driver, mq.ManagerOptions{Queues: sendQueues(cfg), Log: log, Metrics: queues})
	}
	publisher := mq.NewPublisher(managers, cfg.MQ.Connection.ConfirmTimeout)
	var stopping atomic.Bool
	ready := func() bool { return !stopping.Load() && managers.Available() }

	outbound := mapping.NewOutbound(mapping.OutboundOptions{
		Role: cfg.MQ.SystemType, SendQueue: cfg.MQ.Connection.SendQueue,
		CustomDestination: cfg.MQ.Connection.SendToCustomDestination,
		Defaults:          cfg.MQ.Outbound, NewID: mapping.NewID, Now: time.Now, Managers: opened.ids(),
	})
	toQueue := flow.Chain(publisher.Handle,
		o.observe(serviceToQueue),
		counts.Measure(serviceToQueue),
		middleware.Recover,
		middleware.LogFailures(log, serviceToQueue),
	)
	server, err := grpcsrv.Open(cfg.GRPC.Server, grpcsrv.Options{
		Async: toQueue, Decode: outbound.FromProto, Ready: ready,
		Grace: cfg.TerminationGracePeriod, Log: log,
	})
	if err != nil {
		return err
	}
	defer func() { _ = server.Close() }()

	callers, err := grpcclient.Open(cfg.GRPC.Client, grpcclient.Options{Answer: outbound.Answer})
	if err != nil {
		return err
	}
	defer callers.Close()
	serving, stopServing := context.WithCancel(context.WithoutCancel(ctx))
	defer stopServing()
	var listeners []*mq.Listener
	if len(cfg.MQ.Connection.ReceiveQueue) > 0 {
		router, err := routing.New(cfg.Routing, cfg.RoutingOptions())
		if err != nil {
			return err
		}
		text := bodyText(cfg)
		toService := flow.Chain(callers.Async,
			o.observe(queueToService),
			counts.Measure(queueToService),
			middleware.Recover,
			text.Middleware,
			router.Middleware,
			counts.Retry(queueToService, retryOptions(cfg, serving.Done(), log)),
		)
		listeners = newListeners(cfg, managers, toService, queues, log)
	}

	probes, err := admin.Open(probesPort(cfg), health(ready, managers), registry)
	if err != nil {
		return err
	}
	if o.Started != nil {
		o.Started(addresses{GRPC: server.Addr(), HTTP: probes.Addr(), Broker: opened.address()})
	}
	log.Info("gateway is started", "version", version, "systemType", cfg.MQ.SystemType, "workMode", cfg.MQ.WorkMode,
		"provider", cfg.MQ.Provider, "grpc", server.Addr(), "http", probes.Addr(), "embedded", opened.address())

	alive, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	base, alive := errgroup.WithContext(alive)
	base.Go(func() error { return probes.Run(alive) })
	for _, m := range managers.All() {
		base.Go(func() error { return m.Run(alive) })
	}
	sources, serving := errgroup.WithContext(serving)
	sources.Go(func() error { return server.Run(serving) })
	for _, l := range listeners {
		sources.Go(func() error { return l.Run(serving) })
	}

	select {
	case <-ctx.Done():
		log.Info("gateway is stopping", "delay", cfg.Shutdown.Delay.String())
		stopping.Store(true)
		wait(serving, cfg.Shutdown.Delay)
	case <-serving.Done(): // a source failed
	case <-alive.Done(): // a probe or manager failed
	}
	stopServing()
	err = sources.Wait()
	end()
	if failed := base.Wait(); err == nil {
		err = failed
	}
	log.Info("gateway is stopped")
	return err
}

// bodyText says how bodies are made text.
func bodyText(cfg config.Config) mapping.Text {
	return mapping.Text{MaxLength: cfg.MQ.MaxMsgLength, SkipDeclaration: cfg.Parser.XML.SkipDeclaration}
}

// observe is a middleware that does nothing when nobody observes.
func (o gatewayOptions) observe(flowName string) flow.Middleware {
	if o.Observe == nil {
		return func(next flow.Handler) flow.Handler { return next }
	}
	return o.Observe(flowName)
}

// sendQueues are the queues that are published to and may be declared.
func sendQueues(cfg config.Config) []mq.Queue {
	address, err := flow.ParseAddress(cfg.MQ.Connection.SendQueue)
	if err != nil || address.Exchange != "" {
		return nil
	}
	return []mq.Queue{{Name: address.Key, Kind: declaredKind(cfg)}}
}

// newListeners makes a listener for each queue of each manager.
func newListeners(cfg config.Config, managers *mq.Managers, h flow.Handler, metrics *mq.Metrics, log *slog.Logger) []*mq.Listener {
	letters := &mq.DeadLetters{
		Queue: cfg.MQ.Failure.DeadLetterQueue, Kind: deadLetterKind(cfg.MQ.Failure.Declare), Instance: cfg.MQ.Instance,
	}
	var all []*mq.Listener
	for _, m := range managers.All() {
		for _, name := range cfg.MQ.Connection.ReceiveQueue {
			q := mq.Queue{Name: name, Prefetch: cfg.MQ.ConsumerParams.Prefetch, Kind: declaredKind(cfg)}
			all = append(all, mq.NewListener(m, q, h, mq.ListenerOptions{
				Concurrency: cfg.MQ.ConsumerParams.Concurrency, Grace: flow.Grace(cfg.TerminationGracePeriod),
				DeadLetters: letters, NewID: mapping.NewID, Log: log, Metrics: metrics,
			}))
		}
	}
	return all
}

// retryInPlace bounds how long a message is retried unacknowledged. RabbitMQ
// closes the channel of a delivery that waits for 30 minutes
// (https://www.rabbitmq.com/docs/consumers#acknowledgement-timeout).
const retryInPlace = 15 * time.Minute

func retryOptions(cfg config.Config, stopping <-chan struct{}, log *slog.Logger) middleware.RetryOptions {
	r := cfg.MQ.Failure.Retry
	return middleware.RetryOptions{
		Initial: r.Initial, Max: r.Max, Multiplier: r.Multiplier, Jitter: r.Jitter,
		For: retryInPlace, Stopping: stopping, Log: log,
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
			state := m.State()
			c := admin.Component{Up: state.Status == mq.Up, Details: map[string]string{"state": state.Status.String()}}
			if state.Err != nil {
				c.Details["cause"] = state.Err.Error()
			}
			report.Components[fmt.Sprintf("manager %s", m.ID())] = c
		}
		return report
	}
}

// wait lets the delay pass, unless ctx ends before.
func wait(ctx context.Context, delay time.Duration) {
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
