package middleware_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"mqgateway/internal/flow"
	"mqgateway/internal/middleware"
	"mqgateway/test/leaks"
)

func TestMain(m *testing.M) { os.Exit(leaks.Main(m)) }

var errDown = flow.Errorf(flow.DestinationFailed, "connection refused")

func TestRecover(t *testing.T) {
	h := flow.Chain(func(context.Context, *flow.Message) (*flow.Message, error) {
		panic("index out of range")
	}, middleware.Recover)
	_, err := h(t.Context(), &flow.Message{})
	if flow.CodeOf(err) != flow.Internal || !strings.Contains(err.Error(), "index out of range") {
		t.Errorf("err = %v, want 600 with the panic's text", err)
	}
}

func TestMeasureCountsByFlowAndCode(t *testing.T) {
	r := prometheus.NewRegistry()
	m := middleware.NewMetrics(r)
	results := []error{nil, errDown, flow.Errorf(flow.BadMessage, "no text"), context.Canceled}
	for _, err := range results {
		h := flow.Chain(func(context.Context, *flow.Message) (*flow.Message, error) { return nil, err }, m.Measure("in"))
		_, _ = h(t.Context(), &flow.Message{})
	}
	want := `
# HELP gateway_errors_total Messages that left a flow with an error, by its code; each try of a message counts.
# TYPE gateway_errors_total counter
gateway_errors_total{code="602",flow="in"} 1
gateway_errors_total{code="606",flow="in"} 1
# HELP gateway_messages_received_total Messages that entered a flow; further tries of a message do not count.
# TYPE gateway_messages_received_total counter
gateway_messages_received_total{flow="in"} 4
# HELP errors_gateways Errors by code, under the name that existing dashboards use.
# TYPE errors_gateways counter
errors_gateways{code="602"} 1
errors_gateways{code="606"} 1
`
	err := testutil.GatherAndCompare(r, strings.NewReader(want), "gateway_errors_total", "gateway_messages_received_total", "errors_gateways")
	if err != nil {
		t.Error(err)
	}
}

// TestMeasureTellsItsOwnTime: what the target waited for does not count.
func TestMeasureTellsItsOwnTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := prometheus.NewRegistry()
		m := middleware.NewMetrics(r)
		target := func(_ context.Context, in *flow.Message) (*flow.Message, error) {
			time.Sleep(2 * time.Millisecond)
			start := time.Now()
			time.Sleep(time.Second) // in a call
			in.Away += time.Since(start)
			return nil, nil
		}
		if _, err := flow.Chain(target, m.Measure("in"))(t.Context(), &flow.Message{}); err != nil {
			t.Fatal(err)
		}
		if got := sum(t, r, "gateway_own_seconds"); got != 0.002 {
			t.Errorf("own time = %v s, want 0.002", got)
		}
		if got := sum(t, r, "gateway_message_seconds"); got != 1.002 {
			t.Errorf("time = %v s, want 1.002", got)
		}
	})
}

func TestMeasureCountsAMessageOnceAndItsErrorsEachTime(t *testing.T) {
	r := prometheus.NewRegistry()
	m := middleware.NewMetrics(r)
	h := flow.Chain(func(context.Context, *flow.Message) (*flow.Message, error) { return nil, errDown }, m.Measure("in"))
	for attempts := range 3 {
		_, _ = h(t.Context(), &flow.Message{Attempts: attempts})
	}
	m.CountError("in", flow.ReplyTimeout)
	want := `
# HELP gateway_errors_total Messages that left a flow with an error, by its code; each try of a message counts.
# TYPE gateway_errors_total counter
gateway_errors_total{code="602",flow="in"} 3
gateway_errors_total{code="608",flow="in"} 1
# HELP gateway_messages_received_total Messages that entered a flow; further tries of a message do not count.
# TYPE gateway_messages_received_total counter
gateway_messages_received_total{flow="in"} 1
`
	if err := testutil.GatherAndCompare(r, strings.NewReader(want), "gateway_errors_total", "gateway_messages_received_total"); err != nil {
		t.Error(err)
	}
}

// sum is what a histogram with one set of labels observed.
func sum(t *testing.T, r *prometheus.Registry, name string) float64 {
	t.Helper()
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()[0].GetHistogram().GetSampleSum()
		}
	}
	t.Fatalf("metric %s is missing", name)
	return 0
}

func TestLogFailures(t *testing.T) {
	var logged strings.Builder
	log := slog.New(slog.NewJSONHandler(&logged, nil))
	h := flow.Chain(func(_ context.Context, m *flow.Message) (*flow.Message, error) {
		if m.ID == "bad" {
			return nil, errDown
		}
		return nil, nil
	}, middleware.LogFailures(log, "out"))
	for _, id := range []string{"good", "bad"} {
		_, _ = h(t.Context(), &flow.Message{ID: id, To: flow.Address{Key: "orders"}})
	}
	if got := logged.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, `"message":"bad","queue":"orders","code":602`) {
		t.Errorf("logged %s, want the failed message alone", got)
	}
}

func ExampleRecover() {
	h := flow.Chain(func(context.Context, *flow.Message) (*flow.Message, error) {
		panic("a defect")
	}, middleware.Recover)
	_, err := h(context.Background(), &flow.Message{})
	fmt.Println(int(flow.CodeOf(err)), flow.CodeOf(err).Name())
	// Output: 600 INTERNAL
}
