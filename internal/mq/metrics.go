package mq

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"mqgateway/internal/flow"
)

// Metrics are what this package counts. All methods of its parts may be used at
// once.
type Metrics struct {
	managers    *managerStates
	checks      *prometheus.CounterVec
	subscribed  *prometheus.GaugeVec
	inWork      *prometheus.GaugeVec
	settled     *prometheus.CounterVec
	stale       *prometheus.CounterVec
	braked      *prometheus.GaugeVec
	brakes      *prometheus.CounterVec
	fates       map[fate]*prometheus.CounterVec
	published   *prometheus.CounterVec
	confirm     *prometheus.HistogramVec
	replies     *prometheus.CounterVec
	replyWait   prometheus.Histogram
	waiting     prometheus.Gauge
	replyQueues prometheus.Gauge
	expired     *prometheus.CounterVec
}

// NewMetrics registers the metrics; it panics when they are registered already.
func NewMetrics(r prometheus.Registerer) *Metrics {
	m := &Metrics{
		managers: &managerStates{},
		checks: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gateway_manager_checks_total", Help: "Checks of the manager, by result: good, failed.",
		}, []string{"manager", "result"}),
		subscribed: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "gateway_queue_subscribed", Help: "1 while the queue is being read.",
		}, []string{"queue", "manager"}),
		inWork: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "gateway_messages_in_work", Help: "Messages taken from the queue and being handled.",
		}, []string{"queue", "manager"}),
		settled: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gateway_messages_settled_total", Help: "Messages settled, by outcome: ack, retry, return, reject.",
		}, []string{"queue", "manager", "outcome"}),
		stale: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gateway_messages_stale_total", Help: "Messages finished after their connection was lost; the broker delivers them again.",
		}, []string{"queue", "manager"}),
		braked: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "gateway_queue_braked", Help: "1 while the queue's messages are not handled, since nearly all of them failed for good.",
		}, []string{"queue", "manager"}),
		brakes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gateway_queue_brakes_total", Help: "How often the handling of the queue's messages was paused, since nearly all of them failed for good.",
		}, []string{"queue", "manager"}),
		fates: fateCounters(),
		published: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gateway_publishes_total", Help: "Messages published, by result: confirmed, returned, nacked, unknown, failed.",
		}, []string{"manager", "result"}),
		confirm: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "gateway_confirm_seconds", Help: "Time from publishing a message to the broker's confirm.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 14), NativeHistogramBucketFactor: 1.1,
		}, []string{"manager"}),
		replies: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gateway_replies_total", Help: "Replies to synchronous requests: matched, late (nobody waits any more), unclaimed (of no request of ours), handed_over, asked.",
		}, []string{"result"}),
		replyWait: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "gateway_reply_wait_seconds", Help: "Time from taking a synchronous request to its reply.",
			Buckets: prometheus.ExponentialBuckets(0.001, 2, 16), NativeHistogramBucketFactor: 1.1,
		}),
		waiting: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "gateway_requests_waiting", Help: "Synchronous requests that wait for their replies.",
		}),
		replyQueues: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "gateway_reply_queues_open", Help: "Shared reply queues that this instance reads, or tries to.",
		}),
		expired: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "expired_messages_total", Help: "Messages removed from a queue because of their age (expiry-listener).",
		}, []string{"queue", "manager"}),
	}
	r.MustRegister(m.managers, m.checks, m.subscribed, m.inWork, m.settled, m.stale, m.braked, m.brakes, m.published, m.confirm,
		m.replies, m.replyWait, m.waiting, m.replyQueues, m.expired)
	for _, c := range m.fates {
		r.MustRegister(c)
	}
	return m
}

// fateCounters count messages that fail, by what becomes of them.
func fateCounters() map[fate]*prometheus.CounterVec {
	counters := map[fate]*prometheus.CounterVec{}
	for f, o := range map[fate]prometheus.CounterOpts{
		again:      {Name: "gateway_retries_total", Help: "Tries in place of messages that failed, by the code that made them necessary."},
		park:       {Name: "gateway_messages_parked_total", Help: "Messages that wait for their next try outside of the gateway."},
		requeue:    {Name: "gateway_messages_requeued_total", Help: "Failed messages that went back to their queue."},
		deadLetter: {Name: "gateway_messages_dead_lettered_total", Help: "Messages moved to a dead letter queue."},
		reject:     {Name: "gateway_messages_rejected_total", Help: "Failed messages left to the broker's own dead-lettering."},
		discard:    {Name: "gateway_messages_discarded_total", Help: "Failed messages that were dropped."},
	} {
		counters[f] = prometheus.NewCounterVec(o, []string{"flow", "queue", "manager", "code"})
	}
	return counters
}

// deadLettered counts what a listener does not move to a dead letter queue itself.
func (m *Metrics) deadLettered(flowName string, from flow.Source, code flow.Code) {
	m.fates[deadLetter].WithLabelValues(flowName, from.Queue, from.Manager, strconv.Itoa(int(code))).Inc()
}

// listener looks up the metrics of a listener once, since looking up costs on
// each message.
func (m *Metrics) listener(flowName, queue, manager string) listenerCounts {
	c := listenerCounts{
		subscribed: m.subscribed.WithLabelValues(queue, manager),
		inWork:     m.inWork.WithLabelValues(queue, manager),
		stale:      m.stale.WithLabelValues(queue, manager),
		braked:     m.braked.WithLabelValues(queue, manager),
		brakes:     m.brakes.WithLabelValues(queue, manager),
		fates:      map[fate]func(flow.Code){},
	}
	for o := range c.settled {
		c.settled[o] = m.settled.WithLabelValues(queue, manager, Outcome(o).String())
	}
	for f, counter := range m.fates {
		c.fates[f] = func(code flow.Code) {
			counter.WithLabelValues(flowName, queue, manager, strconv.Itoa(int(code))).Inc()
		}
	}
	return c
}

// forget drops the series of listeners that have ended for good: callers may name
// any number of queues, one after the other.
func (m *Metrics) forget(listeners ...*Listener) {
	for _, l := range listeners {
		of := prometheus.Labels{"queue": l.queue.Name, "manager": l.manager.id}
		m.subscribed.DeletePartialMatch(of)
		m.inWork.DeletePartialMatch(of)
		m.settled.DeletePartialMatch(of)
		m.stale.DeletePartialMatch(of)
		m.braked.DeletePartialMatch(of)
		m.brakes.DeletePartialMatch(of)
		for _, counter := range m.fates {
			counter.DeletePartialMatch(of)
		}
	}
}

// managerCounts are the metrics of one manager, looked up once.
type managerCounts struct {
	good, bad prometheus.Counter
	published [len(results)]prometheus.Counter
	confirm   prometheus.Observer
}

// checked counts a check.
func (c *managerCounts) checked(err error) {
	if err != nil {
		c.bad.Inc()
		return
	}
	c.good.Inc()
}

func (m *Metrics) manager(id string) managerCounts {
	c := managerCounts{
		good: m.checks.WithLabelValues(id, "good"), bad: m.checks.WithLabelValues(id, "failed"),
		confirm: m.confirm.WithLabelValues(id),
	}
	for r, name := range results {
		c.published[r] = m.published.WithLabelValues(id, name)
	}
	return c
}

// requesterCounts are the metrics of a requester, looked up once.
type requesterCounts struct {
	replies [replyForeign + 1]prometheus.Counter
	// handedOver and asked count replies that were taken for others, on their way.
	handedOver, asked prometheus.Counter
	wait              prometheus.Observer
	waiting, queues   prometheus.Gauge
}

func (m *Metrics) requester() requesterCounts {
	c := requesterCounts{
		wait: m.replyWait, waiting: m.waiting, queues: m.replyQueues,
		handedOver: m.replies.WithLabelValues("handed_over"), asked: m.replies.WithLabelValues("asked"),
	}
	for whose, name := range [...]string{replyWaited: "matched", replyLate: "late", replyGone: "late", replyForeign: "unclaimed"} {
		c.replies[whose] = m.replies.WithLabelValues(name)
	}
	return c
}
