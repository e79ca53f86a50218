package main

import (
	"mqgateway/internal/config"
	"mqgateway/internal/flow"
	"mqgateway/internal/grpcsrv"
	"mqgateway/internal/mapping"
	"mqgateway/internal/mq"
)

// sources make what messages come by. They live as long as the gateway, and hand
// each message to the flows of the moment.
type sources struct {
	*parts
	// cfg is the configuration at the start.
	cfg config.Config
	now *live
}

// listeners read the queues whose messages go to microservices, on every manager.
func (s *sources) listeners() runs {
	toService, answering := s.now.handler(queueToService), s.now.handler(requestToService)
	var all runs
	for _, m := range s.managers.All() {
		for _, name := range s.cfg.AsyncQueues() {
			all = append(all, s.listener(m, s.queue(name), toService, s.failing(queueToService)).Run)
		}
		for _, name := range s.cfg.SyncQueues() {
			all = append(all, s.listener(m, s.queue(name), answering, s.failing(requestToService)).Run)
		}
	}
	return all
}

func (s *sources) listener(m *mq.Manager, q mq.Queue, h flow.Handler, o mq.ListenerOptions) *mq.Listener {
	return mq.NewListener(m, q, h, s.complete(o))
}

// complete adds what all listeners have to what each of them has.
func (s *sources) complete(o mq.ListenerOptions) mq.ListenerOptions {
	o.Concurrency, o.Grace = s.cfg.MQ.ConsumerParams.Concurrency, flow.Grace(s.cfg.TerminationGracePeriod)
	o.NewID, o.Log, o.Metrics = mapping.NewID, s.log, s.metrics
	o.DeliveryLimit = s.cfg.MQ.Provider == config.RabbitMQ
	return o
}

// expiries look after queues whose old messages are removed, on every manager.
func (s *sources) expiries() runs {
	e := s.cfg.MQ.Monitoring.Messages.ExpiryListener
	var all runs
	for _, m := range s.managers.All() {
		for _, queue := range s.cfg.ExpiryQueues() {
			all = append(all, mq.NewExpiry(m, queue, mq.ExpiryOptions{
				Period: e.Period, Threshold: e.Threshold, Log: s.log, Metrics: s.metrics,
			}).Run)
		}
	}
	return all
}

// replies are queues of replies that callers wait for.
func (s *sources) replies() mq.ListenerOptions {
	return mq.ListenerOptions{Flow: replyToRequest, Failure: s.now.replyFailure, Replies: true}
}

// failing says what becomes of the messages of a flow that fail.
func (s *sources) failing(flowName string) mq.ListenerOptions {
	return mq.ListenerOptions{
		Flow: flowName, Failure: s.now.failure,
		Late: func() { s.counts.CountError(flowName, flow.ReplyTimeout) },
	}
}

// queue is a queue to read.
func (s *sources) queue(name string) mq.Queue {
	return mq.Queue{Name: name, Prefetch: s.cfg.MQ.ConsumerParams.Prefetch, Kind: declaredKind(s.cfg)}
}

// server says which channels are served.
func (s *sources) server(ready func() bool) grpcsrv.Options {
	o := grpcsrv.Options{Decode: s.now.message, Ready: ready, Grace: s.cfg.TerminationGracePeriod, Log: s.log}
	if s.cfg.ServesAsync() {
		o.Async = s.now.handler(serviceToQueue)
	}
	if s.cfg.ServesSync() {
		o.Sync, o.DecodeSync = s.now.handler(requestToQueue), s.now.request
	}
	return o
}
