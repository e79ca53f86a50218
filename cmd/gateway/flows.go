package main

import (
	"log/slog"

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
	// replyToRequest is the way back of requestToQueue, and counts as part of it.
	replyToRequest = "reply-to-request"
)

// parts are what flows are made of, and what outlives them: a change of the
// configuration makes new flows of the same parts.
type parts struct {
	options   gatewayOptions
	log       *slog.Logger
	counts    *middleware.Metrics
	metrics   *mq.Metrics
	managers  *mq.Managers
	publisher *mq.Publisher
	callers   *grpcclient.Caller
	answerer  *mq.Answerer
	// requester is nil where no synchronous calls are served.
	requester *mq.Requester
}

// newAnswerer counts what fails to be answered as a failure of its flow.
func (p *parts) newAnswerer(now *live) *mq.Answerer {
	return mq.NewAnswerer(mq.AnswererOptions{
		Publisher: p.publisher, Managers: p.managers, Failure: now.failure, Flow: requestToService, Log: p.log, Metrics: p.metrics,
		Failed: func(code flow.Code) { p.counts.CountError(requestToService, code) },
	})
}

// flows are the flows of a gateway by one configuration, which never changes: see
// live. Each method below is one flow: its target, and around it the middleware,
// the outermost first.
type flows struct {
	*parts
	cfg      config.Config
	outbound *mapping.Outbound
	// router is nil where no microservices are called.
	router  *routing.Router
	failure *mq.Failure
	// allowReplyQueue is [config.Config.AllowReplyQueue].
	allowReplyQueue func(queue string) error
	// handlers are the flows by name.
	handlers map[string]flow.Handler
}

// newFlows makes the flows of a configuration that was checked.
func newFlows(p *parts, cfg config.Config) (*flows, error) {
	f := &flows{
		parts: p, cfg: cfg, failure: failure(cfg), handlers: map[string]flow.Handler{},
		outbound: mapping.NewOutbound(outboundOptions(cfg, p.managers)), allowReplyQueue: cfg.AllowReplyQueue(),
	}
	if cfg.CallsServices() {
		router, err := routing.New(cfg.Routing, cfg.RoutingOptions())
		if err != nil {
			return nil, err
		}
		f.router = router
		f.handlers[queueToService], f.handlers[requestToService] = f.queueToService(), f.requestToService()
	}
	f.handlers[serviceToQueue] = f.serviceToQueue()
	if p.requester != nil {
		f.handlers[requestToQueue], f.handlers[replyToRequest] = f.requestToQueue(), f.replyToRequest()
	}
	return f, nil
}

// queueToService calls the microservice that the rules name.
func (f *flows) queueToService() flow.Handler {
	return flow.Chain(f.callers.Async,
		f.options.observe(queueToService),
		f.counts.Measure(queueToService),
		middleware.Recover,
		bodyText(f.cfg).Middleware,
		f.router.Middleware,
	)
}

// requestToService calls the microservice and publishes its answer.
func (f *flows) requestToService() flow.Handler {
	return flow.Chain(f.callers.Sync(f.outbound.Answer),
		f.options.observe(requestToService),
		f.counts.Measure(requestToService),
		middleware.Recover,
		f.answerer.Middleware,
		bodyText(f.cfg).Middleware,
		f.outbound.Answerable,
		f.router.Middleware,
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
func (f *flows) requestToQueue() flow.Handler {
	return flow.Chain(f.requester.Handle,
		f.options.observe(requestToQueue),
		f.counts.Measure(requestToQueue),
		middleware.Recover,
		middleware.LogFailures(f.log, requestToQueue),
	)
}

// replyToRequest gives a reply of the external system to who waits for it.
func (f *flows) replyToRequest() flow.Handler {
	return flow.Chain(f.requester.Take,
		f.requester.FailUnreadable,
		middleware.Recover,
		bodyText(f.cfg).Middleware,
		f.cfg.GRPC.Server.Mappable,
	)
}

// bodyText says how bodies are made text.
func bodyText(cfg config.Config) mapping.Text {
	return mapping.Text{MaxLength: cfg.MQ.MaxMsgLength, SkipDeclaration: cfg.Parser.XML.SkipDeclaration}
}

// failure says what becomes of messages that can't be handled.
func failure(cfg config.Config) *mq.Failure {
	return &mq.Failure{
		FailureConfig: cfg.MQ.Failure, Park: cfg.MQ.Parks(),
		DeadLetters: &mq.DeadLetters{
			Queue: cfg.MQ.Failure.DeadLetterQueue, Kind: deadLetterKind(cfg.MQ.Failure.Declare), Instance: cfg.MQ.Instance,
		},
	}
}

// sendQueues are the queues that are published to and may be declared.
func sendQueues(cfg config.Config) []mq.Queue {
	address, err := flow.ParseAddress(cfg.MQ.Connection.SendQueue)
	if err != nil || address.Exchange != "" {
		return nil
	}
	return []mq.Queue{{Name: address.Key, Kind: declaredKind(cfg)}}
}
