// Command bench holds the gateway against the least that a program can do for the
// same flow: command bare, the client libraries with nothing between them. Both
// run as processes of their own, in turns, on one broker, with the same messages;
// what counts is the ratio within each round, since a machine's speed drifts.
// docs/performance.md explains the figures.
//
//	go run ./bench                  saturated: CPU per message, throughput, memory
//	go run ./bench -latency         at fixed rates: time on the way
//	go run ./bench -quick           a look at it, in two minutes
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"syscall"

	"mqgateway/test/rabbittest"
)

// options are the flags.
type options struct {
	rounds, messages int
	cases            *regexp.Regexp
	latency          bool
	json, uri        string
	gateway          string
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	o, err := parseFlags()
	if err != nil {
		return err
	}
	b, err := build(o)
	if err != nil {
		return err
	}
	defer b.close()
	if o.uri != "" {
		return b.measure(ctx)
	}
	return rabbittest.Run(func(n *rabbittest.Node) error {
		b.options.uri = "amqp://guest:guest@" + n.Address()
		return b.measure(ctx)
	})
}

func parseFlags() (options, error) {
	var o options
	flag.IntVar(&o.rounds, "rounds", 9, "rounds of each case")
	flag.IntVar(&o.messages, "messages", 12_000, "messages of each measurement; a quarter more goes before it to warm up")
	cases := flag.String("cases", "", "regular expression of the cases to run, such as 'sc async.*classic'; empty is all")
	flag.BoolVar(&o.latency, "latency", false, "measure the time on the way at fixed rates instead")
	flag.StringVar(&o.json, "json", "", "file that the results are written to")
	flag.StringVar(&o.uri, "uri", "", "broker to use, amqp://…; empty runs a RabbitMQ of its own")
	flag.StringVar(&o.gateway, "gateway", "", "gateway to measure; empty builds the one of this source")
	quick := flag.Bool("quick", false, "3 rounds of the first case of each flow, with fewer messages")
	flag.Parse()
	if *quick {
		o.rounds, o.messages, *cases = 3, 8_000, "XML 1 KiB, classic"
	}
	var err error
	if o.cases, err = regexp.Compile(*cases); err != nil {
		return o, fmt.Errorf("reading -cases: %w", err)
	}
	if o.rounds < 1 || o.messages < 1 || flag.NArg() > 0 {
		return o, fmt.Errorf("usage: bench [flags]; -rounds and -messages are at least 1; -help lists the flags")
	}
	return o, nil
}
