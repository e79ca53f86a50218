package main

import (
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"mqgateway/internal/flow"
	"mqgateway/internal/mq"
)

// letterFilter chooses dead letters; an empty one takes all.
type letterFilter struct {
	codes               []int
	routes, ids, queues []string
	older, newer        time.Duration
}

func (f *letterFilter) register(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.IntSliceVar(&f.codes, "code", nil, "only those that failed with one of these codes, such as 602,606")
	flags.StringSliceVar(&f.routes, "route", nil, "only those of one of these routes")
	flags.StringSliceVar(&f.ids, "id", nil, "only those of one of these message ids")
	flags.StringSliceVar(&f.queues, "source-queue", nil, "only those that were read from one of these queues")
	flags.DurationVar(&f.older, "older-than", 0, "only those that failed longer ago, such as 24h")
	flags.DurationVar(&f.newer, "newer-than", 0, "only those that failed no longer ago, such as 30m")
}

// validate reports the first mistake of the command line.
func (f *letterFilter) validate() error {
	for _, code := range f.codes {
		if flow.Code(code).Name() == "" {
			return withHint(fmt.Errorf("--code %d is none of the gateway's", code),
				fmt.Sprintf("codes are %d (%s) to %d (%s)", flow.Internal, flow.Internal.Name(), flow.ReplyTimeout, flow.ReplyTimeout.Name()))
		}
	}
	for name, age := range map[string]time.Duration{"older-than": f.older, "newer-than": f.newer} {
		if age < 0 {
			return fmt.Errorf("--%s %v is negative", name, age)
		}
	}
	return nil
}

func (f *letterFilter) empty() bool {
	return len(f.codes)+len(f.routes)+len(f.ids)+len(f.queues) == 0 && f.older == 0 && f.newer == 0
}

// matches tells whether a letter is chosen. A letter that does not say when it
// failed has no age.
func (f *letterFilter) matches(l *mq.Letter, now time.Time) bool {
	age := now.Sub(l.FailedAt)
	aged := !l.FailedAt.IsZero()
	return anyOf(f.codes, int(l.Code)) && anyOf(f.routes, l.Route) && anyOf(f.ids, l.Message.ID) && anyOf(f.queues, l.Queue) &&
		(f.older == 0 || aged && age > f.older) && (f.newer == 0 || aged && age <= f.newer)
}

// anyOf takes everything when nothing is chosen.
func anyOf[T comparable](chosen []T, value T) bool {
	return len(chosen) == 0 || slices.Contains(chosen, value)
}
