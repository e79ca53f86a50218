package middleware_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"

	"mqgateway/internal/flow"
	"mqgateway/internal/middleware"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errDown = flow.Errorf(flow.DestinationFailed, "connection refused")

// failing fails n times with err and then succeeds; it notes when it was called.
type failing struct {
	n     int
	err   error
	calls []time.Time
}

func (f *failing) handle(context.Context, *flow.Message) (*flow.Message, error) {
	f.calls = append(f.calls, time.Now())
	if len(f.calls) <= f.n {
		return nil, f.err
	}
	return nil, nil
}

func retryOptions(stopping <-chan struct{}) middleware.RetryOptions {
	return middleware.RetryOptions{
		Initial: 100 * time.Millisecond, Max: time.Second, Multiplier: 2, For: time.Minute,
		Stopping: stopping, Log: slog.New(slog.DiscardHandler),
	}
}

func TestRetryBacksOffUntilItSucceeds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := middleware.NewMetrics(prometheus.NewRegistry())
		f := &failing{n: 6, err: errDown}
		h := flow.Chain(f.handle, m.Retry("in", retryOptions(nil)))
		if _, err := h(t.Context(), &flow.Message{}); err != nil {
			t.Fatalf("err = %v, want nil after the retries", err)
		}
		var pauses []string
		for i := 1; i < len(f.calls); i++ {
			pauses = append(pauses, f.calls[i].Sub(f.calls[i-1]).String())
		}
		if got, want := strings.Join(pauses, " "), "100ms 200ms 400ms 800ms 1s 1s"; got != want {
			t.Errorf("pauses = %s, want %s", got, want)
		}
	})
}

func TestRetryEnds(t *testing.T) {
	stopped := make(chan struct{})
	close(stopped)
	for _, tt := range []struct {
		name     string
		err      error
		stopping <-chan struct{}
		calls    int
		class    flow.Class
	}{
		{"at once when it is permanent", flow.Errorf(flow.BadMessage, "no text"), nil, 1, flow.Permanent},
		{"at once when it stops", errDown, stopped, 1, flow.Stopping},
		{"when its time is used up", errDown, nil, 63, flow.Transient},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := middleware.NewMetrics(prometheus.NewRegistry())
				f := &failing{n: 1000, err: tt.err}
				_, err := flow.Chain(f.handle, m.Retry("in", retryOptions(tt.stopping)))(t.Context(), &flow.Message{})
				if flow.ClassOf(err) != tt.class || flow.CodeOf(err) != flow.CodeOf(tt.err) || !errors.Is(err, errors.Unwrap(tt.err)) {
					t.Errorf("err = %v of class %d, want class %d and the cause kept", err, flow.ClassOf(err), tt.class)
				}
				if len(f.calls) != tt.calls {
					t.Errorf("calls = %d, want %d", len(f.calls), tt.calls)
				}
			})
		})
	}
}

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
# HELP gateway_errors_total Messages that left a flow with an error, by its code.
# TYPE gateway_errors_total counter
gateway_errors_total{code="602",flow="in"} 1
gateway_errors_total{code="606",flow="in"} 1
# HELP gateway_messages_received_total Messages that entered a flow.
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

// TestMeasureTellsItsOwnTime: neither what the target waited for counts, nor the
// pause between tries.
func TestMeasureTellsItsOwnTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := prometheus.NewRegistry()
		m := middleware.NewMetrics(r)
		f := &failing{n: 1, err: errDown}
		target := func(ctx context.Context, in *flow.Message) (*flow.Message, error) {
			time.Sleep(2 * time.Millisecond)
			start := time.Now()
			time.Sleep(time.Second) // in a call
			in.Away += time.Since(start)
			return f.handle(ctx, in)
		}
		h := flow.Chain(target, m.Measure("in"), m.Retry("in", retryOptions(nil)))
		if _, err := h(t.Context(), &flow.Message{}); err != nil {
			t.Fatal(err)
		}
		if got := sum(t, r, "gateway_own_seconds"); got != 0.004 {
			t.Errorf("own time = %v s, want 0.004", got)
		}
		if got := sum(t, r, "gateway_message_seconds"); got != 2.104 {
			t.Errorf("time = %v s, want 2.104", got)
		}
	})
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
