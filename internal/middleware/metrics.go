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
}

// NewMetrics registers the metrics; it panics when they are registered already.
func NewMetrics(r prometheus.Registerer) *Metrics {
	m := &Metrics{
		received: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gateway_messages_received_total", Help: "Messages that entered a flow; further tries of a message do not count.",
		}, []string{"flow"}),
		errors: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gateway_errors_total", Help: "Messages that left a flow with an error, by its code; each try of a message counts.",
		}, []string{"flow", "code"}),
		compat: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "errors_gateways", Help: "Errors by code, under the name that existing dashboards use.",
		}, []string{"code"}),
		inWork: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "gateway_flow_in_work", Help: "Messages in a flow now.",
		}, []string{"flow"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "gateway_message_seconds", Help: "Time that a message spent in a flow; each try of a message counts.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 16), NativeHistogramBucketFactor: 1.1,
		}, []string{"flow"}),
		own: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "gateway_own_seconds", Help: "Time that a message spent in a flow without waiting for services and confirms; each try of a message counts.",
			Buckets: prometheus.ExponentialBuckets(0.00001, 2, 16), NativeHistogramBucketFactor: 1.1,
		}, []string{"flow"}),
	}
	r.MustRegister(m.received, m.errors, m.compat, m.inWork, m.seconds, m.own)
	return m
}

// Measure counts what passes under the name of a flow.
func (m *Metrics) Measure(name string) flow.Middleware {
	received := m.received.WithLabelValues(name)
	inWork := m.inWork.WithLabelValues(name)
	seconds, own := m.seconds.WithLabelValues(name), m.own.WithLabelValues(name)
	return func(next flow.Handler) flow.Handler {
		return func(ctx context.Context, in *flow.Message) (*flow.Message, error) {
			if in.Attempts == 0 {
				received.Inc()
			}
			inWork.Inc()
			defer inWork.Dec()
			start := time.Now()
			reply, err := next(ctx, in)
			took := time.Since(start)
			seconds.Observe(took.Seconds())
			own.Observe((took - in.Away).Seconds())
			if err != nil && flow.ClassOf(err) != flow.Stopping {
				m.CountError(name, flow.CodeOf(err))
			}
			return reply, err
		}
	}
}

// CountError counts an error that does not pass through the handler of the flow.
func (m *Metrics) CountError(name string, code flow.Code) {
	text := strconv.Itoa(int(code))
	m.errors.WithLabelValues(name, text).Inc()
	m.compat.WithLabelValues(text).Inc()
}
