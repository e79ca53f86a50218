package mq

import (
	"slices"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// managerStates are the metrics that tell how managers are when they are asked.
type managerStates struct {
	mu  sync.Mutex // guards all
	all []*Managers
}

var _ prometheus.Collector = (*managerStates)(nil)

var (
	descUp = prometheus.NewDesc("gateway_manager_up",
		"1 while messages can be published on the manager.", []string{"manager"}, nil)
	descDisabled = prometheus.NewDesc("gateway_manager_disabled",
		"1 while the configuration takes the manager out.", []string{"manager"}, nil)
	descWeight = prometheus.NewDesc("gateway_manager_weight",
		"How much of a full share of the messages the manager is given, 0 to 1.", []string{"manager"}, nil)
	descInFlight = prometheus.NewDesc("gateway_manager_in_flight",
		"Messages published on the manager that have no confirm yet.", []string{"manager"}, nil)
)

func (s *managerStates) add(ms *Managers) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.Contains(s.all, ms) {
		s.all = append(s.all, ms)
	}
}

// Describe implements [prometheus.Collector].
func (s *managerStates) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{descUp, descDisabled, descWeight, descInFlight} {
		ch <- d
	}
}

// Collect implements [prometheus.Collector].
func (s *managerStates) Collect(ch chan<- prometheus.Metric) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, ms := range s.all {
		for _, m := range ms.all {
			gauge := func(d *prometheus.Desc, value float64) {
				ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, m.id)
			}
			gauge(descUp, number(m.ready() == nil))
			gauge(descDisabled, number(m.Disabled()))
			gauge(descWeight, ms.Weight(m))
			gauge(descInFlight, float64(m.load.inFlight.Load()))
		}
	}
}

func number(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}

// Weight is how much of a full share of the messages m, one of the managers, is
// given, from 0 to 1.
func (ms *Managers) Weight(m *Manager) float64 {
	var able []route
	for _, o := range ms.all {
		if o.ready() == nil {
			able = append(able, oneWay{o})
		}
	}
	i := slices.Index(able, route(oneWay{m}))
	switch {
	case i < 0:
		return 0
	case !m.smart():
		return 1
	}
	return weigh(nil, able)[i]
}
