package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// ownTime is the metric that tells how long messages of a flow were in the
// gateway's own hands, without the service and the broker.
const ownTime = `gateway_own_seconds_bucket{flow="%s",le="`

// flowNames are the flows as metrics name them.
var flowNames = map[string]string{
	consuming: "queue-to-service", providing: "service-to-queue",
	answering: "request-to-service", asking: "request-to-queue", direct: "request-to-queue",
}

// ownTimes reads the 50th and the 99th percentile of the metric, in microseconds,
// since the start of the process. One that has no metrics has none.
func (p *process) ownTimes(flow string) (p50, p99 float64, err error) {
	if p.http == "" {
		return 0, 0, nil
	}
	answer, err := http.Get("http://" + p.http + "/metrics")
	if err != nil {
		return 0, 0, fmt.Errorf("reading the metrics: %w", err)
	}
	defer func() { _ = answer.Body.Close() }()
	buckets, err := readBuckets(answer.Body, flow)
	if err != nil {
		return 0, 0, fmt.Errorf("reading the metrics: %w", err)
	}
	return quantile(buckets, 0.50) * 1e6, quantile(buckets, 0.99) * 1e6, nil
}

// bucket counts what was not longer than bound.
type bucket struct{ bound, count float64 }

// readBuckets reads lines such as name{flow="a",le="0.1"} 5.
func readBuckets(from io.Reader, flow string) ([]bucket, error) {
	prefix := fmt.Sprintf(ownTime, flowNames[flow])
	var buckets []bucket
	lines := bufio.NewScanner(from)
	for lines.Scan() {
		rest, ok := strings.CutPrefix(lines.Text(), prefix)
		if !ok {
			continue
		}
		bound, count, _ := strings.Cut(rest, `"} `)
		var b bucket
		var errs [2]error
		b.bound, errs[0] = strconv.ParseFloat(bound, 64)
		b.count, errs[1] = strconv.ParseFloat(count, 64)
		if err := errors.Join(errs[:]...); err != nil {
			return nil, err
		}
		buckets = append(buckets, b)
	}
	if len(buckets) == 0 || buckets[len(buckets)-1].count == 0 {
		return nil, errors.Join(errNoOwnTime, lines.Err())
	}
	return buckets, lines.Err()
}

var errNoOwnTime = errors.New("the metrics do not tell the gateway's own time")

// quantile interpolates inside of the bucket that it falls in, as Prometheus does.
func quantile(buckets []bucket, share float64) float64 {
	rank := share * buckets[len(buckets)-1].count
	var below bucket
	for _, b := range buckets {
		if b.count >= rank {
			if b.count == below.count {
				return below.bound
			}
			return below.bound + (b.bound-below.bound)*(rank-below.count)/(b.count-below.count)
		}
		below = b
	}
	return below.bound
}
