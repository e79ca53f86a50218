package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"time"
)

// report is what is written as JSON.
type report struct {
	Time    time.Time `json:"time"`
	Commit  string    `json:"commit"`
	Go      string    `json:"go"`
	CPU     string    `json:"cpu"`
	Cores   int       `json:"cores"`
	Broker  string    `json:"broker"`
	Load    string    `json:"loadBefore"`
	Rounds  int       `json:"rounds"`
	Results []summary `json:"results"`
}

// summary is a scenario: the medians of both sides and of the ratios.
type summary struct {
	Name    string              `json:"name"`
	Rounds  []map[string]sample `json:"rounds"`
	Bare    sample              `json:"bareMedian"`
	Gateway sample              `json:"gatewayMedian"`
	// Ratios are gateway to bare, taken round by round.
	CPU        spread `json:"cpuRatio"`
	Normalized spread `json:"cpuRatioNormalized"`
	Throughput spread `json:"throughputRatio"`
	Memory     spread `json:"memoryRatio"`
	P50        spread `json:"p50Ratio"`
	P99        spread `json:"p99Ratio"`
	// Bar is the most that CPU may be; 0 is none.
	Bar float64 `json:"bar,omitempty"`
}

// spread is a median and its range.
type spread struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}

func (s spread) String() string { return fmt.Sprintf("%.2f [%.2f-%.2f]", s.Median, s.Min, s.Max) }

func spreadOf(values []float64) spread {
	values = slices.Sorted(slices.Values(values))
	return spread{Median: median(values), Min: values[0], Max: values[len(values)-1]}
}

// median takes sorted values.
func median(values []float64) float64 {
	half := len(values) / 2
	if len(values)%2 == 1 {
		return values[half]
	}
	return (values[half-1] + values[half]) / 2
}

func newReport(b *bench) *report {
	version, _ := b.broker.conn.Properties["version"].(string)
	load, _ := os.ReadFile("/proc/loadavg")                                      // Where it is not told, it is empty.
	commit, _ := exec.Command("git", "describe", "--always", "--dirty").Output() // Without git it is empty.
	return &report{
		Time: time.Now().UTC(), Commit: strings.TrimSpace(string(commit)), Go: runtime.Version(), CPU: processor(), Cores: runtime.NumCPU(),
		Broker: "RabbitMQ " + version, Load: strings.TrimSpace(string(load)), Rounds: b.options.rounds,
	}
}

// processor is the name of the CPU.
func processor() string {
	info, _ := os.ReadFile("/proc/cpuinfo")
	_, rest, _ := strings.Cut(string(info), "model name")
	name, _, _ := strings.Cut(rest, "\n")
	return strings.Trim(name, "\t :")
}

// heading tells what was measured on which machine.
func (r *report) heading() string {
	return fmt.Sprintf("%s, %d cores; %s; %s; commit %s; load before: %s\n"+
		"Medians of %d rounds; ratios are gateway to bare within a round, with their range.\n",
		r.CPU, r.Cores, r.Broker, r.Go, r.Commit, r.Load, r.Rounds)
}

// String is the summary as a table.
func (s summary) String() string {
	var table strings.Builder
	row := func(name, format string, bare, gateway float64, ratio spread) {
		fmt.Fprintf(&table, "  %-20s%10s%10s   %s\n", name, fmt.Sprintf(format, bare), fmt.Sprintf(format, gateway), ratio)
	}
	fmt.Fprintf(&table, "\n%s%s\n  %-20s%10s%10s   ratio\n", s.Name, s.verdict(), "", bareSide, gatewaySide)
	row("CPU, µs a message", "%.1f", s.Bare.CPU, s.Gateway.CPU, s.CPU)
	row("  to CPU of bench", "%.2f", s.Bare.CPU/s.Bare.DriverCPU, s.Gateway.CPU/s.Gateway.DriverCPU, s.Normalized)
	row("messages/s", "%.0f", s.Bare.Rate, s.Gateway.Rate, s.Throughput)
	row("peak memory, MiB", "%.0f", s.Bare.Memory, s.Gateway.Memory, s.Memory)
	if s.Bare.P50 > 0 {
		row("p50, ms", "%.2f", s.Bare.P50, s.Gateway.P50, s.P50)
		row("p99, ms", "%.2f", s.Bare.P99, s.Gateway.P99, s.P99)
	}
	fmt.Fprintf(&table, "  %-20s%10s%10s   p50 and p99, by the gateway's metric\n", "own time, µs",
		fmt.Sprintf("%.0f", s.Gateway.OwnP50), fmt.Sprintf("%.0f", s.Gateway.OwnP99))
	return table.String()
}

// verdict holds the ratio against the bar, in words only.
func (s summary) verdict() string {
	switch {
	case s.Bar == 0:
		return ""
	case s.CPU.Median <= s.Bar:
		return fmt.Sprintf(" (within the goal of %.1f)", s.Bar)
	default:
		return fmt.Sprintf(" (over the goal of %.1f)", s.Bar)
	}
}

func summarize(r result) summary {
	s := summary{Name: r.scenario.name(), Rounds: r.rounds, Bar: r.scenario.bar()}
	s.Bare, s.Gateway = r.medians(bareSide), r.medians(gatewaySide)
	s.CPU = r.ratios(func(v sample) float64 { return v.CPU })
	s.Normalized = r.ratios(func(v sample) float64 { return v.CPU / v.DriverCPU })
	s.Throughput = r.ratios(func(v sample) float64 { return v.Rate })
	s.Memory = r.ratios(func(v sample) float64 { return v.Memory })
	if s.Bare.P50 > 0 {
		s.P50 = r.ratios(func(v sample) float64 { return v.P50 })
		s.P99 = r.ratios(func(v sample) float64 { return v.P99 })
	}
	return s
}

// ratios are gateway to bare.
func (r result) ratios(of func(sample) float64) spread {
	var values []float64
	for _, samples := range r.rounds {
		values = append(values, of(samples[gatewaySide])/of(samples[bareSide]))
	}
	return spreadOf(values)
}

// medians are those of each figure of a side.
func (r result) medians(side string) sample {
	of := func(figure func(sample) float64) float64 {
		var values []float64
		for _, samples := range r.rounds {
			values = append(values, figure(samples[side]))
		}
		return spreadOf(values).Median
	}
	return sample{
		CPU:       of(func(v sample) float64 { return v.CPU }),
		Rate:      of(func(v sample) float64 { return v.Rate }),
		Memory:    of(func(v sample) float64 { return v.Memory }),
		DriverCPU: of(func(v sample) float64 { return v.DriverCPU }),
		P50:       of(func(v sample) float64 { return v.P50 }),
		P99:       of(func(v sample) float64 { return v.P99 }),
		OwnP50:    of(func(v sample) float64 { return v.OwnP50 }),
		OwnP99:    of(func(v sample) float64 { return v.OwnP99 }),
	}
}

// write writes the report as JSON; an empty name does not want it.
func (r *report) write(file string) error {
	if file == "" {
		return nil
	}
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(file, append(text, '\n'), 0o644); err != nil {
		return fmt.Errorf("writing the results: %w", err)
	}
	return nil
}
