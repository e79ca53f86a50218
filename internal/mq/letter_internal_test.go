package mq

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mqgateway/internal/flow"
)

// A message may have lost headers before, on its way here.
func TestHeadersCutEarlierAreStillNamed(t *testing.T) {
	m := flow.Message{Headers: []flow.Header{{Name: headerCut, Value: "deep"}, {Name: "n", Value: int32(7)}, {Name: "long", Value: "a long text"}}}
	want := []flow.Header{{Name: "n", Value: int32(7)}, {Name: headerCut, Value: "long,deep"}}
	if diff := cmp.Diff(want, putAsideWithin(30, &m).Headers); diff != "" {
		t.Errorf("headers (-want +got):\n%s", diff)
	}
}

func TestMessageTakenBackIsWhatWasPutAside(t *testing.T) {
	m := flow.Message{
		ID: "made", IDMade: true, CorrelID: "c", ReplyTo: "R", Expiry: 5 * time.Second, Priority: 3,
		Persistence: flow.NonPersistent, UserID: "guest", Body: []byte("body"),
		Headers: []flow.Header{
			{Name: "n", Value: int32(7)},
			{Name: "CC", Value: []any{"other"}},
			{Name: "x-death", Value: []any{map[string]any{"count": int64(1)}}},
		},
		Source: flow.Source{Queue: "Q", Manager: "M"},
	}
	aside := putAside(&m)
	if aside.Expiry != 0 || aside.UserID != "" || aside.Persistence != flow.Persistent {
		t.Errorf("aside = %+v, want it persistent, without a life and without a user", aside)
	}
	aside.Headers = append(aside.Headers, flow.Header{Name: headerFailedAt, Value: "now"})
	back, notes := takeBack(&aside)
	if diff := cmp.Diff(m, back); diff != "" {
		t.Errorf("taken back (-want +got):\n%s", diff)
	}
	if notes[headerFailedAt] != "now" {
		t.Errorf("notes = %v, want what the gateway wrote", notes)
	}
}
