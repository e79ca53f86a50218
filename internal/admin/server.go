// Package admin is the HTTP port for those who run the gateway: probes and
// metrics. It reads the state of the gateway through [Health] and changes
// nothing.
package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Health tells the state of the gateway, by component. It is called for each
// probe, by many goroutines at once.
type Health func() Report

// Report is the health of the gateway at one moment.
type Report struct {
	// Ready tells that traffic may come.
	Ready bool
	// Components are shown by /actuator/health.
	Components map[string]Component
}

// Component is the health of one part.
type Component struct {
	Up bool
	// Details are shown to people; never a secret.
	Details map[string]string
}

// Server answers probes and serves metrics.
type Server struct {
	listener net.Listener
	http     *http.Server
}

// Open listens on the configured port; a port that is taken is an error that
// names the key.
func Open(cfg Config, health Health, metrics prometheus.Gatherer) (*Server, error) {
	listener, err := net.Listen("tcp", ":"+strconv.Itoa(cfg.Port))
	if err != nil {
		return nil, fmt.Errorf("listening for probes and metrics (server.port): %w", err)
	}
	return &Server{listener: listener, http: &http.Server{
		Handler:           handler(health, metrics),
		ReadHeaderTimeout: 5 * time.Second,
	}}, nil
}

// Addr is the address that the server listens on.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// Run serves until ctx ends, and then finishes the answers that have begun.
func (s *Server) Run(ctx context.Context) error {
	stopped := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		within, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		defer close(stopped)
		_ = s.http.Shutdown(within) // answers that take longer are cut
	})
	err := s.http.Serve(s.listener)
	if !stop() {
		<-stopped
	}
	if !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving probes and metrics: %w", err)
	}
	return nil
}

func handler(health Health, metrics prometheus.Gatherer) http.Handler {
	mux := http.NewServeMux()
	up := func() Report { return Report{Ready: true} }
	mux.HandleFunc("GET /actuator/health/ping", probe(up, false))
	mux.HandleFunc("GET /actuator/health/liveness", probe(up, false))
	mux.HandleFunc("GET /actuator/health/readiness", probe(health, false))
	mux.HandleFunc("GET /actuator/health", probe(health, true))
	exposed := promhttp.HandlerFor(metrics, promhttp.HandlerOpts{})
	mux.Handle("GET /metrics", exposed)
	mux.Handle("GET /actuator/prometheus", exposed)
	return mux
}

// probe answers 200 with UP, or 503 with DOWN.
func probe(health Health, components bool) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		report := health()
		body := answer{Status: status(report.Ready)}
		if components {
			body.Components = map[string]answer{}
			for name, c := range report.Components {
				body.Components[name] = answer{Status: status(c.Up), Details: c.Details}
			}
		}
		w.Header().Set("Content-Type", "application/json")
		if !report.Ready {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		_ = json.NewEncoder(w).Encode(body) // the prober has gone away
	}
}

// answer is the JSON form of a probe, as Spring's actuator has it.
type answer struct {
	Status     string            `json:"status"`
	Components map[string]answer `json:"components,omitempty"`
	Details    map[string]string `json:"details,omitempty"`
}

func status(up bool) string {
	if up {
		return "UP"
	}
	return "DOWN"
}
