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
	return &reloader{sources: s, metrics: m, running: s.cfg}
}

// reload takes what was loaded, or the error of loading, which leaves everything as it
// is. It is not for two goroutines at once.
func (r *reloader) reload(loaded *config.Loaded, err error) {
	if err != nil {
		r.refuse(err)
		return
	}
	changes := config.Changes(r.running, loaded.Config)
	if len(changes) == 0 {
		r.log.Info("configuration is read again; nothing in it has changed")
		r.metrics.count("nothing")
		return
	}
	next, err := r.apply(loaded, changes)
	if err != nil {
		r.refuse(err)
		return
	}
	warn(r.log, loaded.Warnings)
	r.tell(changes)
	r.running = next
}

// apply makes new flows and swaps them in, when anything has changed that applies
// without a restart.
func (r *reloader) apply(loaded *config.Loaded, changes []config.Change) (config.Config, error) {
	if !slices.ContainsFunc(changes, func(c config.Change) bool { return c.Reload }) {
		r.metrics.count("nothing")
		return r.running, nil
	}
	next, err := loaded.Onto(r.running)
	if err != nil {
		return next, err
	}
	flows, err := newFlows(r.parts, next)
	if err != nil {
		return next, err
	}
	r.managers.Declare(context.Background(), sendQueues(next))
	r.now.flows.Store(flows)
	r.metrics.count("applied")
	r.metrics.applied.SetToCurrentTime()
	return next, nil
}

// refuse tells why a change is not applied, as the command check does.
func (r *reloader) refuse(err error) {
	r.metrics.count("refused")
	problems, ok := errors.AsType[config.Problems](err)
	if !ok {
		problems = config.Problems{{Text: err.Error()}}
	}
	for _, p := range problems {
		r.log.Error("configuration", placed(p)...)
	}
	r.log.Error("change of the configuration is refused as a whole; the running configuration stays", "problems", len(problems))
}

// mostTold bounds the lines that one change of the configuration is worth.
const mostTold = 100

// tell logs what has changed.
func (r *reloader) tell(changes []config.Change) {
	applied := 0
	for i, c := range changes {
		if c.Reload {
			applied++
		}
		key := []any{"key", c.Path, "old", c.Old, "new", c.New}
		switch {
		case i >= mostTold:
		case c.Reload:
			r.log.Info("configuration key is changed", key...)
		default:
			r.log.Warn("configuration key is not changed: it takes a restart", key...)
		}
	}
	if applied > 0 {
		r.log.Info("change of the configuration is applied", "keys", applied, "waiting", len(changes)-applied)
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
	return []any{"place", p.Place.String(), "key", p.Path, "problem", p.Text, "hint", p.Hint}
}

// reloadMetrics tell what became of changes of the configuration.
type reloadMetrics struct {
	reloads *prometheus.CounterVec
	applied prometheus.Gauge
}

func newReloadMetrics(r prometheus.Registerer) reloadMetrics {
	m := reloadMetrics{
		reloads: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gateway_config_reloads_total", Help: "Changes of the configuration's files, by what became of them.",
		}, []string{"result"}),
		applied: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "gateway_config_applied_timestamp_seconds", Help: "When the configuration that holds was applied, as Unix time.",
		}),
	}
	for _, result := range []string{"applied", "refused", "nothing"} {
		m.reloads.WithLabelValues(result)
	}
	r.MustRegister(m.reloads, m.applied)
	return m
}

func (m reloadMetrics) count(result string) { m.reloads.WithLabelValues(result).Inc() }

// hangups are the signals that ask for reading the configuration again; a process that
// was started to ignore them, by nohup, goes on doing so.
func hangups() (signals <-chan os.Signal, stop func()) {
	c := make(chan os.Signal, 1) // One that waits stands for all.
	if !signal.Ignored(syscall.SIGHUP) {
		signal.Notify(c, syscall.SIGHUP)
	}
	return c, func() { signal.Stop(c) }
}
