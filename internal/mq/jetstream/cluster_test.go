package jetstream_test

import (
	"fmt"
	"net/url"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"mqgateway/internal/flow"
	"mqgateway/internal/mq"
	"mqgateway/internal/mq/jetstream"
	"mqgateway/internal/secret"
	"mqgateway/test/ports"
)

func TestClusterSurvivesTheLossOfAServer(t *testing.T) {
	t.Parallel()
	servers := startCluster(t, 3)
	cfg := jetstream.Config{ConfirmTimeout: 5 * time.Second}
	for _, e := range servers {
		cfg.Addresses = append(cfg.Addresses, mq.ConnectionConfig{URI: secret.URI(e.url())})
	}
	broker, err := jetstream.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeOrFail(t, broker) })
	eventually(t, "the cluster has a leader", func() bool {
		return broker.Declare(t.Context(), mq.Queue{Name: "q", Kind: mq.Quorum}) == nil
	})
	const n = 20
	for i := range n {
		m := flow.Message{ID: fmt.Sprint(i)}
		eventually(t, "the cluster takes the message", func() bool { // it may look for a new leader
			if i%2 == 0 {
				return broker.Publish(t.Context(), flow.Address{Key: "q"}, &m) == nil
			}
			return broker.PublishLater(t.Context(), "q", time.Duration(i)*200*time.Millisecond, &m) == nil
		})
	}
	info := newOperator(t, servers[1].nats).queue(t, "q")
	if info.Config.Replicas != 3 {
		t.Errorf("queue has %d replicas, want 3", info.Config.Replicas)
	}
	servers[0].stop()

	seen := map[string]bool{}
	eventually(t, "every message is received", func() bool {
		s, err := broker.Subscribe(t.Context(), mq.Queue{Name: "q", Prefetch: n})
		if err != nil {
			return false // the cluster looks for new leaders
		}
		defer closeOrFail(t, s)
		for len(seen) < n {
			d, err := s.Receive(t.Context())
			if err != nil || d.Settle(mq.Ack) != nil {
				return false
			}
			seen[d.Message.ID] = true
		}
		return true
	})
}

func TestLoneServerHoldsOneCopy(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*server.Options){
		"of no cluster":    nil,
		"of a cluster yet": func(o *server.Options) { o.ServerName, o.Cluster.Name = "server", "cluster" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := startExternal(t, change)
			declare(t, openExternal(t, e), "q")
			if got := newOperator(t, e.nats).queue(t, "q").Config.Replicas; got != 1 {
				t.Errorf("queue has %d replicas, want 1", got)
			}
		})
	}
}

// startCluster starts servers that know each other.
func startCluster(t *testing.T, n int) []*external {
	t.Helper()
	members := make([]int, n)
	var routes []*url.URL
	for i := range members {
		members[i] = ports.Free()
		routes = append(routes, &url.URL{Scheme: "nats", Host: fmt.Sprintf("127.0.0.1:%d", members[i])})
	}
	servers := make([]*external, n)
	for i := range servers {
		servers[i] = startExternal(t, func(o *server.Options) {
			o.ServerName = fmt.Sprint("server-", i)
			o.Cluster = server.ClusterOpts{Name: "cluster", Host: "127.0.0.1", Port: members[i]}
			o.Routes = routes
		})
	}
	return servers
}
