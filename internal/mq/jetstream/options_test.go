package jetstream

import (
	"testing"
	"time"
)

// TestMessagesAreSyncedAlways is all that a test can say about a power failure:
// the server is told to force each message to disk before it accepts it.
func TestMessagesAreSyncedAlways(t *testing.T) {
	for _, tt := range []struct {
		sync     string
		always   bool
		interval time.Duration
	}{
		{"", true, 0},
		{"always", true, 0},
		{"2s", false, 2 * time.Second},
		{"250", false, 250 * time.Millisecond},
	} {
		t.Run(tt.sync, func(t *testing.T) {
			opts, err := serverOptions(EmbeddedConfig{Sync: tt.sync}, t.TempDir(), 0)
			if err != nil {
				t.Fatal(err)
			}
			if opts.SyncAlways != tt.always || opts.SyncInterval != tt.interval {
				t.Errorf("always %t, interval %v, want %t, %v", opts.SyncAlways, opts.SyncInterval, tt.always, tt.interval)
			}
		})
	}
}

func TestPayloadsCoverHeaders(t *testing.T) {
	for _, tt := range []struct {
		name       string
		maxMessage int64
		want       int32
	}{
		{"not less than other clients expect", 100 << 10, 1 << 20},
		{"room for headers", 4 << 20, 4<<20 + 256<<10},
		{"the most that can be stored", mostPayload - headroom, mostPayload},
	} {
		t.Run(tt.name, func(t *testing.T) {
			opts, err := serverOptions(EmbeddedConfig{}, t.TempDir(), tt.maxMessage)
			if err != nil {
				t.Fatal(err)
			}
			if opts.MaxPayload != tt.want {
				t.Errorf("max payload = %d, want %d", opts.MaxPayload, tt.want)
			}
		})
	}
}
