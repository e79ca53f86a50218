package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"os/signal"
	"slices"
	"syscall"

	"github.com/prometheus/client_golang/prometheus"

	"mqgateway/internal/config"
)

// reloader brings changes of the configuration into a running gateway.
type reloader struct {
	*sources
	metrics reloadMetrics
	// running is the configuration that holds: that of the start, with the keys that
	// have changed since and apply without a restart.
	running config.Config
}

func newReloader(s *sources, m reloadMetrics) *reloader {
	m.applied.SetToCurrentTime()
	m.correct.Set(1)
	return &reloader{sources: s, metrics: m, running: s.cfg}
}

// reload takes what was loaded, or the error of loading, which leaves everything as it
// is. When ctx ends it waits for no broker any more. It is not for two goroutines at once.
func (r *reloader) reload(ctx context.Context, loaded *config.Loaded, err error) {
	if err != nil {
		r.refuse(err)
		return
	}
	changes := config.Changes(r.running, loaded.Config)
	next, result, err := r.apply(ctx, loaded, changes)
	if err != nil {
		r.refuse(err)
		return
	}
	r.running = next
	r.metrics.correct.Set(1)
	r.tell(loaded.Warnings, changes)
	r.metrics.count(result)
}

// apply makes new flows and swaps them in, when anything has changed that applies
// without a restart. It returns the configuration that holds then.
func (r *reloader) apply(ctx context.Context, loaded *config.Loaded, changes []config.Change) (next config.Config, result string, err error) {
	if !slices.ContainsFunc(changes, func(c config.Change) bool { return c.Reload }) {
		return r.running, "nothing", nil
	}
	next, err = loaded.Onto(r.running)
	if err != nil {
		return next, "", err
	}
	flows, err := newFlows(r.parts, next)
	if err != nil {
		return next, "", err
	}
	r.managers.SetDisabled(next.MQ.ConsumerParams.DisableManagerIDs) // first: nothing waits for what hangs
	if queues := sendQueues(next); !slices.Equal(queues, sendQueues(r.running)) {
		r.managers.Declare(ctx, queues)
	}
	r.now.flows.Store(flows)
	r.managers.SetReading(next.MQ.ConsumerParams.ReadEnabled) // last: what is read goes the new way
	r.metrics.applied.SetToCurrentTime()
	return next, "applied", nil
}

// refuse tells why a change is not applied, as the command check does.
func (r *reloader) refuse(err error) {
	problems, ok := errors.AsType[config.Problems](err)
	if !ok {
		problems = config.Problems{{Text: err.Error()}}
	}
	for _, p := range problems {
		r.log.Error("configuration", placed(p)...)
	}
	r.log.Error("change of the configuration is refused as a whole; the running configuration stays", "problems", len(problems))
	r.metrics.correct.Set(0)
	r.metrics.count("refused")
}

// mostTold bounds the lines that one change of the configuration is worth.
const mostTold = 100

// tell logs what has changed, and what is odd in it.
func (r *reloader) tell(warnings []config.Problem, changes []config.Change) {
	waiting := 0
	for i, c := range changes {
		if !c.Reload {
			waiting++
		}
		if i < mostTold {
			r.tellOne(c)
		}
	}
	r.metrics.waiting.Set(float64(waiting))
	switch applied := len(changes) - waiting; {
	case len(changes) == 0:
		r.log.Info("configuration is read again; it is the one that runs")
		return
	case applied > 0:
		r.log.Info("change of the configuration is applied", "keys", applied, "waiting", waiting)
	}
	warn(r.log, warnings)
}

func (r *reloader) tellOne(c config.Change) {
	key := []any{"key", c.Path, "old", c.Old, "new", c.New}
	if c.Reload {
		r.log.Info("configuration key is changed", key...)
	} else {
		r.log.Warn("configuration key is not changed: it takes a restart", key...)
	}
}

// warn logs what is odd in a configuration that works.
func warn(log *slog.Logger, warnings []config.Problem) {
	for _, w := range warnings {
		log.Warn("configuration", placed(w)...)
	}
}

// placed is a problem as attributes of a log line.
func placed(p config.Problem) []any {
	attrs := []any{"place", p.Place.String(), "problem", p.Text}
	if p.Path != "" {
		attrs = append(attrs, "key", p.Path)
	}
	if p.Hint != "" {
		attrs = append(attrs, "hint", p.Hint)
	}
	return attrs
}

// reloadMetrics tell what became of changes of the configuration.
type reloadMetrics struct {
	reloads *prometheus.CounterVec
	// applied is a time, correct 1 or 0, waiting a number of keys.
	applied, correct, waiting prometheus.Gauge
}

func newReloadMetrics(r prometheus.Registerer) reloadMetrics {
	m := reloadMetrics{
		reloads: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gateway_config_reloads_total", Help: "Changes of the configuration's files, by what became of them.",
		}, []string{"result"}),
		applied: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "gateway_config_applied_timestamp_seconds", Help: "When the configuration that holds was applied, as Unix time.",
		}),
		correct: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "gateway_config_correct", Help: "0 while the configuration's files hold what was refused.",
		}),
		waiting: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "gateway_config_keys_waiting", Help: "Keys that differ between the files and the running configuration, and take a restart.",
		}),
	}
	for _, result := range []string{"applied", "refused", "nothing"} {
		m.reloads.WithLabelValues(result)
	}
	r.MustRegister(m.reloads, m.applied, m.correct, m.waiting)
	return m
}

func (m reloadMetrics) count(result string) { m.reloads.WithLabelValues(result).Inc() }

// hangups are the signals that ask for reading the configuration again, until the process
// ends; one that was started to ignore them, by nohup, goes on doing so.
func hangups() <-chan os.Signal {
	c := make(chan os.Signal, 1) // One that waits stands for all.
	if !signal.Ignored(syscall.SIGHUP) {
		signal.Notify(c, syscall.SIGHUP)
	}
	return c
}
