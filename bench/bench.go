package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// bench is what all measurements share.
type bench struct {
	options options
	dir     string
	broker  *broker
	service *service
	// programs are the executables of the sides.
	programs map[string]string
}

// build makes the executables that nobody gave. close removes them.
func build(o options) (*bench, error) {
	dir, err := os.MkdirTemp("", "bench-")
	if err != nil {
		return nil, err
	}
	b := &bench{options: o, dir: dir, programs: map[string]string{gatewaySide: o.gateway}}
	for side, pkg := range map[string]string{bareSide: "mqgateway/bench/bare", gatewaySide: "mqgateway/cmd/gateway"} {
		if b.programs[side] != "" {
			continue
		}
		b.programs[side] = filepath.Join(b.dir, side)
		cmd := exec.Command("go", "build", "-trimpath", "-o", b.programs[side], pkg)
		if out, err := cmd.CombinedOutput(); err != nil {
			b.close()
			return nil, fmt.Errorf("building %s: %w\n%s", pkg, err, out)
		}
	}
	return b, nil
}

func (b *bench) close() { _ = os.RemoveAll(b.dir) }

var errNoCase = errors.New("-cases matches no case")

// measure runs all scenarios that are wanted, and reports them.
func (b *bench) measure(ctx context.Context) error {
	var err error
	if b.broker, err = connect(b.options.uri); err != nil {
		return err
	}
	defer b.broker.close()
	if b.service, err = serve(); err != nil {
		return err
	}
	defer b.service.close()
	scenarios := saturated()
	if b.options.latency {
		scenarios = paced()
	}
	report := newReport(b)
	for _, s := range scenarios {
		if !b.options.cases.MatchString(s.name()) {
			continue
		}
		result, err := b.scenario(ctx, s)
		if err != nil {
			return fmt.Errorf("measuring %s: %w", s.name(), err)
		}
		if len(report.Results) == 0 {
			fmt.Print(report.heading())
		}
		report.Results = append(report.Results, summarize(result))
		fmt.Print(report.Results[len(report.Results)-1])
		if err := report.write(b.options.json); err != nil { // each time: a run is long
			return err
		}
	}
	if len(report.Results) == 0 {
		return errNoCase
	}
	return nil
}

// result is what the rounds of a scenario gave.
type result struct {
	scenario scenario
	rounds   []map[string]sample
}

// scenario makes sure that both sides do the same, and measures them in turns.
func (b *bench) scenario(ctx context.Context, s scenario) (result, error) {
	like, err := b.compare(s)
	if err != nil {
		return result{}, err
	}
	r := result{scenario: s}
	for round := range b.options.rounds {
		samples := map[string]sample{}
		for _, side := range sides {
			if ctx.Err() != nil {
				return r, ctx.Err()
			}
			if samples[side], err = b.sample(s, side, like); err != nil {
				return r, fmt.Errorf("round %d, %s: %w", round+1, side, err)
			}
		}
		r.rounds = append(r.rounds, samples)
		progress(s, round, samples)
	}
	return r, nil
}

// progress tells on standard error how it goes.
func progress(s scenario, round int, samples map[string]sample) {
	bare, gateway := samples[bareSide], samples[gatewaySide]
	fmt.Fprintf(os.Stderr, "%s %s, round %d: bare %.1f µs, gateway %.1f µs, ratio %.2f; %.0f/s and %.0f/s\n",
		time.Now().Format(time.TimeOnly), s.name(), round+1, bare.CPU, gateway.CPU, gateway.CPU/bare.CPU, bare.Rate, gateway.Rate)
}

// start runs a side for a scenario.
func (b *bench) start(s scenario, side string) (*process, error) {
	if side == bareSide {
		return launch(b.programs[side], b.bareArgs(s)...)
	}
	file := filepath.Join(b.dir, "application.yml")
	if err := os.WriteFile(file, []byte(b.config(s)), 0o600); err != nil {
		return nil, err
	}
	return launch(b.programs[side], "-c", file)
}

// The gateway's names of the broker and of itself.
const (
	manager  = "QM1"
	instance = "bench"
)

func (b *bench) bareArgs(s scenario) []string {
	loops := map[string]string{consuming: "consume", providing: "provide", answering: "answer", asking: "ask", direct: "ask"}
	args := []string{loops[s.Flow], "-uri", b.options.uri, "-queue", queue, "-manager", manager}
	if s.Rate > 0 {
		args = append(args, "-run", "1") // best while there is little to join
	}
	if s.Flow == asking {
		args = append(args, "-replies", replyQueue)
	}
	if s.reads() {
		args = append(args, "-service", b.service.address, "-authority", root)
	}
	return args
}

// config is a gateway as its users configure it; numbers are its defaults.
func (b *bench) config(s scenario) string {
	mode, role, queueKey := "async", "sp", "sendQueue"
	if s.Flow == answering || s.asks() {
		mode = "sync"
	}
	if s.reads() {
		role, queueKey = "sc", "receiveQueue"
	}
	return fmt.Sprintf(`server: {port: 0}
shutdown: {delay: 0}
mq:
  instance: %s
  workMode: %s
  systemType: %s
  connection:
    connections: [{uri: %q, queueManager: %s}]
    %s: %s
`, instance, mode, role, b.options.uri, manager, queueKey, queue) + b.restOfConfig(s)
}

// restOfConfig says where calls of a consumer go, or how replies come.
func (b *bench) restOfConfig(s scenario) string {
	const server = "grpc: {server: {serverPort: 0}}\n"
	switch s.Flow {
	case asking:
		return "  syncReceiver: {replyToMode: UNIQUE, defaultReceiveQueue: " + queue + "}\n" + server
	case direct:
		return "  syncReceiver: {replyToMode: DIRECT}\n" + server
	case providing:
		return server
	}
	return fmt.Sprintf(`grpc:
  server: {serverPort: 0}
  client: {settings: {default: {hostname: 127.0.0.1, port: %s}}}
routing:
  routeList:
    - destinationExpression: Operation
      variables:
        - {name: Operation, valueFrom: [{type: fromBody, value: local-name(/*), valueJson: $.operation}]}
`, portOf(b.service.address))
}
