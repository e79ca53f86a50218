package main

import "mqgateway/internal/mq"

// expiries look after queues whose old messages are removed, on every manager.
func (s *sources) expiries() []*mq.Expiry {
	e := s.cfg.MQ.Monitoring.Messages.ExpiryListener
	var all []*mq.Expiry
	for _, m := range s.managers.All() {
		for _, queue := range s.cfg.ExpiryQueues() {
			all = append(all, mq.NewExpiry(m, queue, mq.ExpiryOptions{
				Period: e.Period, Threshold: e.Threshold, Log: s.log, Metrics: s.metrics,
			}))
		}
	}
	return all
}
