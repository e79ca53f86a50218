package main

import (
	"bufio"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// ownTime is the metric that tells how long messages were in the gateway's own
// hands, without the service and the broker.
const ownTime = "gateway_own_seconds_bucket{"

// ownTimes reads the 50th and the 99th percentile of the metric, in microseconds,
// since the start of the process. One that has no metrics has none.
func (p *process) ownTimes() (p50, p99 float64, err error) {
	if p.http == "" {
		return 0, 0, nil
	}
	answer, err := http.Get("http://" + p.http + "/metrics")
	if err != nil {
		return 0, 0, fmt.Errorf("reading the metrics: %w", err)
	}
	defer func() { _ = answer.Body.Close() }()
	var buckets []bucket
	lines := bufio.NewScanner(answer.Body)
	for lines.Scan() {
		if b, ok := parseBucket(lines.Text()); ok {
			buckets = append(buckets, b)
		}
	}
	if len(buckets) == 0 || buckets[len(buckets)-1].count == 0 {
		return 0, 0, errors.Join(errNoOwnTime, lines.Err())
	}
	return quantile(buckets, 0.50) * 1e6, quantile(buckets, 0.99) * 1e6, lines.Err()
}

var errNoOwnTime = errors.New("the metrics do not tell the gateway's own time")

// bucket counts what was not longer than bound.
type bucket struct{ bound, count float64 }

// parseBucket reads a line of the metric, such as name{flow="a",le="0.1"} 5. Only
// one flow is used.
func parseBucket(line string) (bucket, bool) {
	rest, ok := strings.CutPrefix(line, ownTime)
	_, rest, found := strings.Cut(rest, `le="`)
	bound, count, complete := strings.Cut(rest, `"} `)
	if !ok || !found || !complete {
		return bucket{}, false
	}
	var b bucket
	var errs [2]error
	b.bound, errs[0] = strconv.ParseFloat(bound, 64)
	b.count, errs[1] = strconv.ParseFloat(count, 64)
	return b, b.count > 0 && errors.Join(errs[:]...) == nil
}

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
