package main

import (
	"log/slog"
	"time"

	"mqgateway/internal/config"
	"mqgateway/internal/flow"
	"mqgateway/internal/grpcclient"
	"mqgateway/internal/mapping"
	"mqgateway/internal/middleware"
	"mqgateway/internal/mq"
	"mqgateway/internal/routing"
)

// The flows, as metrics and logs name them.
const (
	queueToService   = "queue-to-service"
	requestToService = "request-to-service"
	serviceToQueue   = "service-to-queue"
	requestToQueue   = "request-to-queue"
)

// flows are the parts of a gateway that its four flows are made of. Each method
// below is one flow: its target, and around it the middleware, the outermost
// first.
type flows struct {
	cfg       config.Config
	options   gatewayOptions
	log       *slog.Logger
	counts    *middleware.Metrics
	metrics   *mq.Metrics
	managers  *mq.Managers
	publisher *mq.Publisher
	outbound  *mapping.Outbound
	callers   *grpcclient.Caller
	letters   *mq.DeadLetters
	// stopping is closed when no more messages are taken.
	stopping <-chan struct{}
}

// queueToService calls the microservice that the rules name.
func (f *flows) queueToService(router *routing.Router) flow.Handler {
	return flow.Chain(f.callers.Async,
		f.options.observe(queueToService),
		f.counts.Measure(queueToService),
		middleware.Recover,
		bodyText(f.cfg).Middleware,
		router.Middleware,
		f.counts.Retry(queueToService, f.retryOptions()),
	)
}

// requestToService calls the microservice and publishes its answer.
func (f *flows) requestToService(router *routing.Router) flow.Handler {
	answerer := mq.NewAnswerer(mq.AnswererOptions{
		Publisher: f.publisher, Managers: f.managers, DeadLetters: f.letters, Log: f.log,
	})
	return flow.Chain(f.callers.Sync,
		f.options.observe(requestToService),
		f.counts.Measure(requestToService),
		middleware.Recover,
		answerer.Middleware,
		bodyText(f.cfg).Middleware,
		f.outbound.Answerable,
		router.Middleware,
		f.counts.Retry(requestToService, f.retryOptions()),
	)
}

// serviceToQueue publishes what a microservice sends.
func (f *flows) serviceToQueue() flow.Handler {
	return flow.Chain(f.publisher.Handle,
		f.options.observe(serviceToQueue),
		f.counts.Measure(serviceToQueue),
		middleware.Recover,
		middleware.LogFailures(f.log, serviceToQueue),
	)
}

// requestToQueue publishes what a microservice asks, and waits for the reply.
func (f *flows) requestToQueue(requester *mq.Requester) flow.Handler {
	return flow.Chain(requester.Handle,
		f.options.observe(requestToQueue),
		f.counts.Measure(requestToQueue),
		middleware.Recover,
		middleware.LogFailures(f.log, requestToQueue),
	)
}

// replies gives the replies of the external system to who waits for them.
func (f *flows) replies(requester *mq.Requester) flow.Handler {
	return flow.Chain(requester.Take,
		requester.FailUnreadable,
		middleware.Recover,
		bodyText(f.cfg).Middleware,
	)
}

// bodyText says how bodies are made text.
func bodyText(cfg config.Config) mapping.Text {
	return mapping.Text{MaxLength: cfg.MQ.MaxMsgLength, SkipDeclaration: cfg.Parser.XML.SkipDeclaration}
}

// retryInPlace bounds how long a message is retried unacknowledged. RabbitMQ
// closes the channel of a delivery that waits for 30 minutes
// (https://www.rabbitmq.com/docs/consumers#acknowledgement-timeout).
const retryInPlace = 15 * time.Minute

func (f *flows) retryOptions() middleware.RetryOptions {
	r := f.cfg.MQ.Failure.Retry
	return middleware.RetryOptions{
		Initial: r.Initial, Max: r.Max, Multiplier: r.Multiplier, Jitter: r.Jitter,
		For: retryInPlace, Stopping: f.stopping, Log: f.log,
	}
}

// listeners read the queues whose messages go to microservices, on every manager.
func (f *flows) listeners() ([]*mq.Listener, error) {
	async, sync := f.cfg.AsyncQueues(), f.cfg.SyncQueues()
	if len(async)+len(sync) == 0 {
		return nil, nil
	}
	router, err := routing.New(f.cfg.Routing, f.cfg.RoutingOptions())
	if err != nil {
		return nil, err
	}
	toService, answering := f.queueToService(router), f.requestToService(router)
	var all []*mq.Listener
	for _, m := range f.managers.All() {
		for _, name := range async {
			all = append(all, f.listener(m, f.queue(name), toService))
		}
		for _, name := range sync {
			all = append(all, f.listener(m, f.queue(name), answering))
		}
	}
	return all, nil
}

func (f *flows) listener(m *mq.Manager, q mq.Queue, h flow.Handler) *mq.Listener {
	return mq.NewListener(m, q, h, mq.ListenerOptions{
		Concurrency: f.cfg.MQ.ConsumerParams.Concurrency, Grace: flow.Grace(f.cfg.TerminationGracePeriod),
		DeadLetters: f.letters, NewID: mapping.NewID, Log: f.log, Metrics: f.metrics,
	})
}

// queue is a queue to read.
func (f *flows) queue(name string) mq.Queue {
	return mq.Queue{Name: name, Prefetch: f.cfg.MQ.ConsumerParams.Prefetch, Kind: declaredKind(f.cfg)}
}

// sendQueues are the queues that are published to and may be declared.
func sendQueues(cfg config.Config) []mq.Queue {
	address, err := flow.ParseAddress(cfg.MQ.Connection.SendQueue)
	if err != nil || address.Exchange != "" {
		return nil
	}
	return []mq.Queue{{Name: address.Key, Kind: declaredKind(cfg)}}
}
