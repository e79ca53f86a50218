package main

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
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
	flags.Var((*age)(&f.older), "older-than", "only those that failed longer ago, such as 24h or 30d")
	flags.Var((*age)(&f.newer), "newer-than", "only those that failed no longer ago, such as 30m")
}

// validate reports the first mistake of the command line.
func (f *letterFilter) validate() error {
	for _, code := range f.codes {
		if flow.Code(code).Name() == "" {
			return withHint(fmt.Errorf("--code %d is none of the gateway's", code),
				fmt.Sprintf("codes are %d (%s) to %d (%s)", flow.Internal, flow.Internal.Name(), flow.ReplyTimeout, flow.ReplyTimeout.Name()))
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

// age is a flag that takes days, too, as the configuration does.
type age time.Duration

func (a *age) String() string { return "" }

func (a *age) Type() string { return "duration" }

// Set implements [pflag.Value].
func (a *age) Set(text string) error {
	d, err := time.ParseDuration(text)
	if days, ok := strings.CutSuffix(text, "d"); ok {
		var n float64
		n, err = strconv.ParseFloat(days, 64)
		d = time.Duration(n * float64(24*time.Hour))
	}
	if err != nil || d < 0 {
		return errors.New("write 30m, 24h or 30d")
	}
	*a = age(d)
	return nil
}
