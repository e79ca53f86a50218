package main

import (
	"os"
	"strings"
	"testing"

	"mqgateway/test/leaks"
	"mqgateway/test/rabbittest"
)

func TestMain(m *testing.M) {
	os.Exit(rabbittest.Main(m, leaks.Find))
}

// TestBothSidesMakeTheSameOfAMessage: whoever changes what the gateway sends has to
// let the bare loop do the same work.
func TestBothSidesMakeTheSameOfAMessage(t *testing.T) {
	t.Parallel()
	b, err := build(options{uri: rabbittest.Shared(t).VHost(t).URI()})
	if err != nil {
		t.Fatal(err)
	}
	defer b.close()
	if b.broker, err = connect(b.options.uri); err != nil {
		t.Fatal(err)
	}
	defer b.broker.close()
	if b.service, err = serve(); err != nil {
		t.Fatal(err)
	}
	defer b.service.close()
	for _, flow := range []string{consuming, providing, answering, asking, direct} {
		for _, format := range []string{"XML", "JSON"} {
			s := scenario{Flow: flow, Format: format, Size: 1 << 10, Queue: "classic"}
			if _, err := b.compare(s); err != nil {
				t.Errorf("%s: %v", s.name(), err)
			}
		}
	}
}

func TestBodiesHaveTheirSize(t *testing.T) {
	t.Parallel()
	for _, s := range append(saturated(), paced()...) {
		if got := len(s.body()); got != s.Size {
			t.Errorf("%s: body of %d bytes, want %d", s.name(), got, s.Size)
		}
	}
}

func TestSpread(t *testing.T) {
	t.Parallel()
	if got, want := spreadOf([]float64{3, 1, 2, 10}), (spread{Median: 2.5, Min: 1, Max: 10}); got != want {
		t.Errorf("spread = %v, want %v", got, want)
	}
}

func TestQuantileOfAMetric(t *testing.T) {
	t.Parallel()
	const metrics = `# TYPE gateway_own_seconds histogram
gateway_own_seconds_bucket{flow="queue-to-service",le="1e-05"} 0
gateway_own_seconds_bucket{flow="queue-to-service",le="2e-05"} 50
gateway_own_seconds_bucket{flow="queue-to-service",le="4e-05"} 100
gateway_own_seconds_bucket{flow="queue-to-service",le="+Inf"} 100
gateway_own_seconds_count{flow="queue-to-service"} 100
gateway_own_seconds_bucket{flow="service-to-queue",le="1e-05"} 0
`
	buckets, err := readBuckets(strings.NewReader(metrics), consuming)
	if err != nil {
		t.Fatal(err)
	}
	for share, want := range map[float64]float64{0.25: 15e-6, 0.5: 20e-6, 0.75: 30e-6, 1: 40e-6} {
		if got := quantile(buckets, share); got < want*0.999 || got > want*1.001 {
			t.Errorf("quantile %v = %v, want %v", share, got, want)
		}
	}
}
