package middleware

import (
	"context"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"mqgateway/internal/flow"
)

// Metrics counts and times messages by flow.
type Metrics struct {
	received, errors, compat *prometheus.CounterVec
	inWork                   *prometheus.GaugeVec
	seconds, own             *prometheus.HistogramVec
	retries                  *prometheus.CounterVec
}

// NewMetrics registers the metrics; it panics when they are registered already.
func NewMetrics(r prometheus.Registerer) *Metrics {
	m := &Metrics{
		received: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gateway_messages_received_total", Help: "Messages that entered a flow.",
		}, []string{"flow"}),
		errors: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gateway_errors_total", Help: "Messages that left a flow with an error, by its code.",
		}, []string{"flow", "code"}),
		compat: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "errors_gateways", Help: "Errors by code, under the name that existing dashboards use.",
		}, []string{"code"}),
		retries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gateway_retries_total", Help: "Tries of a message after its first one, by the code that made them necessary.",
		}, []string{"flow", "code"}),
		inWork: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "gateway_flow_in_work", Help: "Messages in a flow now.",
		}, []string{"flow"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "gateway_message_seconds", Help: "Time that a message spent in a flow, its retries included.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 16), NativeHistogramBucketFactor: 1.1,
		}, []string{"flow"}),
		own: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "gateway_own_seconds", Help: "Time that a message spent in a flow without waiting for services, confirms and pauses between tries.",
			Buckets: prometheus.ExponentialBuckets(0.00001, 2, 16), NativeHistogramBucketFactor: 1.1,
		}, []string{"flow"}),
	}
	r.MustRegister(m.received, m.errors, m.compat, m.retries, m.inWork, m.seconds, m.own)
	return m
}

// Measure counts what passes under the name of a flow.
func (m *Metrics) Measure(name string) flow.Middleware {
	received := m.received.WithLabelValues(name)
	inWork := m.inWork.WithLabelValues(name)
	seconds, own := m.seconds.WithLabelValues(name), m.own.WithLabelValues(name)
	return func(next flow.Handler) flow.Handler {
		return func(ctx context.Context, in *flow.Message) (*flow.Message, error) {
			received.Inc()
			inWork.Inc()
			defer inWork.Dec()
			start := time.Now()
			reply, err := next(ctx, in)
			took := time.Since(start)
			seconds.Observe(took.Seconds())
			own.Observe((took - in.Away).Seconds())
			if err != nil && flow.ClassOf(err) != flow.Stopping {
				code := strconv.Itoa(int(flow.CodeOf(err)))
				m.errors.WithLabelValues(name, code).Inc()
				m.compat.WithLabelValues(code).Inc()
			}
			return reply, err
		}
	}
}
