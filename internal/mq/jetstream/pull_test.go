package jetstream

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

func TestPullsKeepToPrefetch(t *testing.T) {
	p := pulls{prefetch: 8}
	next := func(unsettled int, want string) {
		t.Helper()
		if got := string(p.next(unsettled)); got != want {
			t.Errorf("with %d unsettled and %d under way: request %q, want %q", unsettled, p.requested, got, want)
		}
	}
	next(0, `{"batch":8,"expires":60000000000,"idle_heartbeat":10000000000}`)
	next(0, "")
	p.delivered()
	next(0, "") // one free place is not worth a request while there is one
	p.delivered()
	next(1, "")
	next(0, `{"batch":2,"expires":60000000000,"idle_heartbeat":10000000000}`)
	for range 8 {
		p.delivered()
	}
	next(8, "")
	next(7, `{"batch":1,"expires":60000000000,"idle_heartbeat":10000000000}`) // but it is when there is none
}

func TestAnswersToPulls(t *testing.T) {
	for _, tt := range []struct {
		name                      string
		status, description, left string
		requested                 int
		ends                      bool
	}{
		{"heartbeat", "100", "Idle Heartbeat", "", 5, false},
		{"expired", "408", "Request Timeout", "3", 2, false},
		{"more than asked for", "408", "Request Timeout", "9", 0, false},
		{"no number", "408", "Request Timeout", "x", 5, true},
		{"consumer deleted", "409", "Consumer Deleted", "", 5, true},
		{"shutdown", "409", "Server Shutdown", "3", 5, true},
		{"nobody there", "503", "", "", 5, true},
		{"malformed", "400", "Bad Request", "", 5, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := pulls{prefetch: 5, requested: 5}
			msg := nats.NewMsg("inbox")
			msg.Header.Set("Status", tt.status)
			msg.Header.Set("Description", tt.description)
			if tt.left != "" {
				msg.Header.Set("Nats-Pending-Messages", tt.left)
			}
			err := p.answered(msg)
			if ends := err != nil; ends != tt.ends || p.requested != tt.requested {
				t.Errorf("%d under way, error %v, want %d, an end: %t", p.requested, err, tt.requested, tt.ends)
			}
		})
	}
}

func TestSilenceEndsOnlyWhoWaits(t *testing.T) {
	now := time.Now()
	for _, tt := range []struct {
		name      string
		requested int
		quiet     time.Duration
		ends      bool
	}{
		{"nothing asked for", 0, time.Hour, false},
		{"a heartbeat is late", 1, 2 * pullHeartbeat, false},
		{"forgotten", 1, 4 * pullHeartbeat, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := pulls{requested: tt.requested, heard: now.Add(-tt.quiet)}
			if err := p.silent(now); (err != nil) != tt.ends {
				t.Errorf("error %v, want an end: %t", err, tt.ends)
			}
		})
	}
}
