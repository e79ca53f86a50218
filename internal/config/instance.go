package config

import (
	"cmp"
	"fmt"
	"os"
	"strings"

	"mqgateway/internal/mq"
)

// instance makes up the name of this process where mq.instance is not set, and says
// from what. Names must differ between live instances, and should live as long as
// the pod.
func instance(environ []string) (name, origin string) {
	if pod := lookup(environ, "POD_NAME"); pod != "" {
		return pod, "environment POD_NAME"
	}
	if host := lookup(environ, "HOSTNAME"); host != "" && lookup(environ, "KUBERNETES_SERVICE_HOST") != "" {
		return host, "environment HOSTNAME"
	}
	host, err := os.Hostname()
	if err != nil {
		host = "gateway"
	}
	return fmt.Sprintf("%s-%d", host, os.Getpid()), "default"
}

// lookup finds a variable; empty is as good as absent here.
func lookup(environ []string, name string) string {
	for _, entry := range environ {
		if value, ok := strings.CutPrefix(entry, name+"="); ok {
			return value
		}
	}
	return ""
}

// concurrencyOfPrefetch is the bound on messages in work where neither is limited.
const concurrencyOfPrefetch = 256

// complete fills in defaults that depend on other keys. given tells which keys are set.
func (c *Config) complete(given func(path string) bool) {
	health := &c.MQ.Connection.Health
	health.Period = cmp.Or(health.Period, c.MQ.Connection.ConnectionCheckPeriod, mq.DefaultPeriod)
	p := &c.MQ.ConsumerParams
	if p.Ordered {
		if !given("mq.consumerParams.concurrency") {
			p.Concurrency = 1
		}
		if p.Concurrency == 1 && !given("mq.consumerParams.prefetch") {
			p.Prefetch = 1 // a message that goes back comes before the next one
		}
	}
	switch {
	case p.Concurrency == 0 && p.Prefetch == 0:
		p.Concurrency, p.Prefetch = concurrencyOfPrefetch, concurrencyOfPrefetch
	case p.Concurrency == 0:
		p.Concurrency = p.Prefetch
	case p.Prefetch == 0:
		p.Prefetch = 2 * p.Concurrency
	}
}
