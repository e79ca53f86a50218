package main

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"mqgateway/internal/flow"
	"mqgateway/internal/mq"
)

func TestLetterFilter(t *testing.T) {
	now := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	letter := mq.Letter{
		Message: flow.Message{ID: "m-1"}, Code: flow.DestinationFailed, Queue: "Q", Route: "Payment", FailedAt: now.Add(-time.Hour),
	}
	timeless := mq.Letter{Message: flow.Message{ID: "m-2"}}
	for _, tt := range []struct {
		name           string
		filter         letterFilter
		want, timeless bool
	}{
		{"empty", letterFilter{}, true, true},
		{"code", letterFilter{codes: []int{606, 602}}, true, false},
		{"other code", letterFilter{codes: []int{606}}, false, false},
		{"route", letterFilter{routes: []string{"Payment"}}, true, false},
		{"other route", letterFilter{routes: []string{"payment"}}, false, false},
		{"id", letterFilter{ids: []string{"m-2"}}, false, true},
		{"source queue", letterFilter{queues: []string{"Q"}}, true, false},
		{"older", letterFilter{older: 59 * time.Minute}, true, false},
		{"not older", letterFilter{older: time.Hour}, false, false},
		{"newer", letterFilter{newer: time.Hour}, true, false},
		{"not newer", letterFilter{newer: 59 * time.Minute}, false, false},
		{"all of several", letterFilter{codes: []int{602}, queues: []string{"OTHER"}}, false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.filter.matches(&letter, now); got != tt.want {
				t.Errorf("matches = %v, want %v", got, tt.want)
			}
			if got := tt.filter.matches(&timeless, now); got != tt.timeless {
				t.Errorf("a letter of others matches = %v, want %v", got, tt.timeless)
			}
			if got := tt.filter.empty(); got != (tt.name == "empty") {
				t.Errorf("empty = %v", got)
			}
		})
	}
}

func TestAgesMayBeDays(t *testing.T) {
	for text, want := range map[string]time.Duration{"30m": 30 * time.Minute, "0.5d": 12 * time.Hour, "30d": 720 * time.Hour} {
		var got time.Duration
		if err := (*age)(&got).Set(text); err != nil || got != want {
			t.Errorf("%s = %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "d", "-1d", "1h2d", "7"} {
		if err := (*age)(new(time.Duration)).Set(text); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}

func TestConfirmation(t *testing.T) {
	for _, tt := range []struct {
		answer string
		yes    bool
		want   error
	}{
		{"y\n", false, nil},
		{" YES \n", false, nil},
		{"n\n", false, errDeclined},
		{"\n", false, errDeclined},
		{"", false, errDeclined},
		{"n\n", true, nil},
	} {
		cmd := &cobra.Command{}
		cmd.SetContext(t.Context())
		var asked bytes.Buffer
		cmd.SetIn(strings.NewReader(tt.answer))
		cmd.SetErr(&asked)
		confirm := confirmation{yes: tt.yes}
		if got := confirm.ask(cmd, "Remove 3 dead letters?"); !errors.Is(got, tt.want) {
			t.Errorf("answer %q, --yes %v: %v, want %v", tt.answer, tt.yes, got, tt.want)
		}
		if tt.yes == strings.Contains(asked.String(), "Remove 3 dead letters? [y/N]") {
			t.Errorf("answer %q, --yes %v: asked %q", tt.answer, tt.yes, asked.String())
		}
	}
}

func TestTextsOfOthersCannotSteerATerminal(t *testing.T) {
	if got := printable("a\x1b[2Jb\nc\u202ed é"); got != "a\ufffd[2Jb c\ufffdd é" {
		t.Errorf("printable = %q", got)
	}
	var out bytes.Buffer
	rows := []letterRow{{ID: "m\x1b[2J", Reason: strings.Repeat("я", 100)}}
	if err := printTable(&out, rows); err != nil {
		t.Fatal(err)
	}
	if got := out.String(); strings.Contains(got, "\x1b") || !strings.Contains(got, strings.Repeat("я", shownReason-1)+"…\n") {
		t.Errorf("table = %q, want no sequence and a short reason", got)
	}
}

func TestProgressElsewhereThanOnATerminalIsRare(t *testing.T) {
	var out bytes.Buffer
	p := newProgress(&out)
	p.tell("1 of 2")
	p.clear()
	if out.Len() > 0 {
		t.Errorf("told %q at once", out.String())
	}
	p.last = time.Time{}
	p.tell("%d of 2", 2)
	if out.String() != "2 of 2\n" {
		t.Errorf("told %q", out.String())
	}
}
