package admin_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"mqgateway/internal/admin"
	"mqgateway/test/leaks"
)

func TestMain(m *testing.M) { os.Exit(leaks.Main(m)) }

// serve starts a server and returns how to get a path of it.
func serve(t *testing.T, health admin.Health, metrics prometheus.Gatherer) func(path string) (int, string) {
	t.Helper()
	s, err := admin.Open(admin.Config{}, health, metrics)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	client := &http.Client{Transport: &http.Transport{}}
	t.Cleanup(func() {
		client.CloseIdleConnections()
		stop()
		if err := <-ended; err != nil {
			t.Errorf("Run = %v, want nil after a stop", err)
		}
	})
	_, port, _ := net.SplitHostPort(s.Addr())
	return func(path string) (int, string) {
		t.Helper()
		answer, err := client.Get("http://127.0.0.1:" + port + path)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = answer.Body.Close() }()
		body, err := io.ReadAll(answer.Body)
		if err != nil {
			t.Fatal(err)
		}
		return answer.StatusCode, string(body)
	}
}

func TestProbes(t *testing.T) {
	down := func() admin.Report {
		return admin.Report{Components: map[string]admin.Component{
			"manager QM1": {Details: map[string]string{"state": "down"}},
			"grpc":        {Up: true},
		}}
	}
	up := func() admin.Report { return admin.Report{Ready: true} }
	for _, tt := range []struct {
		name   string
		health admin.Health
		path   string
		status int
		body   map[string]any
	}{
		{"ping never looks at brokers", down, "/actuator/health/ping", 200, map[string]any{"status": "UP"}},
		{"liveness never looks at brokers", down, "/actuator/health/liveness", 200, map[string]any{"status": "UP"}},
		{"not ready", down, "/actuator/health/readiness", 503, map[string]any{"status": "DOWN"}},
		{"ready", up, "/actuator/health/readiness", 200, map[string]any{"status": "UP"}},
		{"with components", down, "/actuator/health", 503, map[string]any{"status": "DOWN", "components": map[string]any{
			"manager QM1": map[string]any{"status": "DOWN", "details": map[string]any{"state": "down"}},
			"grpc":        map[string]any{"status": "UP"},
		}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			status, body := serve(t, tt.health, prometheus.NewRegistry())(tt.path)
			if status != tt.status {
				t.Errorf("status = %d, want %d", status, tt.status)
			}
			var got map[string]any
			if err := json.Unmarshal([]byte(body), &got); err != nil {
				t.Fatalf("body %q: %v", body, err)
			}
			if diff := cmp.Diff(tt.body, got); diff != "" {
				t.Errorf("body (-want +got):\n%s", diff)
			}
		})
	}
}

func TestMetricsOnBothPaths(t *testing.T) {
	r := prometheus.NewRegistry()
	c := prometheus.NewCounter(prometheus.CounterOpts{Name: "gateway_test_total", Help: "A test."})
	r.MustRegister(c)
	c.Add(3)
	get := serve(t, func() admin.Report { return admin.Report{} }, r)
	for _, path := range []string{"/metrics", "/actuator/prometheus"} {
		if _, body := get(path); !strings.Contains(body, "gateway_test_total 3\n") {
			t.Errorf("%s = %q, want the counter in it", path, body)
		}
	}
}

func TestTakenPortNamesTheKey(t *testing.T) {
	taken, err := net.Listen("tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	_, err = admin.Open(admin.Config{Port: taken.Addr().(*net.TCPAddr).Port}, nil, nil)
	if err == nil || !strings.Contains(err.Error(), "server.port") {
		t.Errorf("Open = %v, want an error that names server.port", err)
	}
}

func ExampleOpen() {
	ready := func() admin.Report { return admin.Report{Ready: true} }
	s, err := admin.Open(admin.Config{Port: 0}, ready, prometheus.NewRegistry())
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, stop := context.WithCancel(context.Background())
	stop() // a signal would do this
	fmt.Println(s.Run(ctx))
	// Output: <nil>
}
