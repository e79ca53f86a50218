package jetstream

import (
	"encoding/hex"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"

	"mqgateway/internal/flow"
)

// fullMessage has every property and a header of every wire type.
func fullMessage() flow.Message {
	at := time.Date(2026, 2, 3, 4, 5, 6, 789, time.UTC)
	return flow.Message{
		ID: "id", CorrelID: "correlation", ReplyTo: "exchange:replies/key", ReplyToManager: "qm1",
		Expiry: 1500 * time.Millisecond, Priority: 9, Persistence: flow.Persistent, Type: flow.Report, JMSType: "order",
		Timestamp: at, UserID: "guest", AppID: "app", ContentType: "text/xml; charset=windows-1251", ContentEncoding: "gzip",
		Headers: []flow.Header{
			{Name: "nil"},
			{Name: "", Value: "without a name"},
			{Name: "false", Value: false},
			{Name: "true", Value: true},
			{Name: "string", Value: "line\r\nbreak \x00 привет"},
			{Name: "empty string", Value: ""},
			{Name: "bytes", Value: []byte{0, 255, 10}},
			{Name: "empty bytes", Value: []byte{}},
			{Name: "time", Value: at},
			{Name: "zero time", Value: time.Time{}},
			{Name: "decimal", Value: flow.Decimal{Scale: 2, Value: math.MinInt32}},
			{Name: "int8", Value: int8(math.MinInt8)},
			{Name: "int16", Value: int16(math.MinInt16)},
			{Name: "int32", Value: int32(math.MinInt32)},
			{Name: "int64", Value: int64(math.MinInt64)},
			{Name: "uint8", Value: uint8(math.MaxUint8)},
			{Name: "uint16", Value: uint16(math.MaxUint16)},
			{Name: "uint32", Value: uint32(math.MaxUint32)},
			{Name: "uint64", Value: uint64(math.MaxUint64)},
			{Name: "float32", Value: float32(1.1)},
			{Name: "float64", Value: math.Inf(-1)},
			{Name: "table", Value: map[string]any{"a": int32(1), "b": map[string]any{}, "c": []any{"x", nil, []byte{1}}}},
			{Name: "array", Value: []any{true, []any{}, map[string]any{"": nil}}},
			{Name: "string", Value: "of the same name"},
			{Name: strings.Repeat("n", 300), Value: strings.Repeat("long ", 100)},
		},
	}
}

func TestEnvelopeKeepsEverything(t *testing.T) {
	for _, tt := range []struct {
		name    string
		message flow.Message
	}{
		{"every property and wire type", fullMessage()},
		{"nothing", flow.Message{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			data, err := appendEnvelope(nil, &tt.message)
			if err != nil {
				t.Fatal(err)
			}
			var got flow.Message
			if err := readEnvelope(data, &got); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.message, got); diff != "" {
				t.Errorf("message changed (-sent +read):\n%s", diff)
			}
		})
	}
}

// TestEnvelopeFormat pins the wire format: what is in queues outlives a release.
func TestEnvelopeFormat(t *testing.T) {
	m := flow.Message{
		ID: "id", Expiry: time.Millisecond, Priority: 4, Timestamp: time.Unix(1, 2),
		Headers: []flow.Header{{Name: "h", Value: int32(-1)}},
	}
	data, err := appendEnvelope(nil, &m)
	if err != nil {
		t.Fatal(err)
	}
	const want = "01" + "01026964" + "0503c0843d" + "060104" + "0a020202" + "0f0401680901"
	if got := hex.EncodeToString(data); got != want {
		t.Errorf("envelope = %s, want %s", got, want)
	}
}

func TestEnvelopeOfALaterReleaseIsUnderstood(t *testing.T) {
	data, err := appendEnvelope(nil, &flow.Message{ID: "id"})
	if err != nil {
		t.Fatal(err)
	}
	data = append(data, 99, 3, 'n', 'e', 'w')
	var got flow.Message
	if err := readEnvelope(data, &got); err != nil || got.ID != "id" {
		t.Errorf("id = %q, error %v, want the id", got.ID, err)
	}
}

func TestHeadersThatCannotBeSent(t *testing.T) {
	deep := any("bottom")
	for range maxDepth + 1 {
		deep = []any{deep}
	}
	for name, value := range map[string]any{
		"an int":                 1,
		"a struct":               struct{}{},
		"an int in a table":      map[string]any{"a": 1},
		"nested beyond measure":  deep,
		"an unknown thing in []": []any{make(chan int)},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := encode("q", &flow.Message{Headers: []flow.Header{{Name: "x-bad", Value: value}}})
			if flow.CodeOf(err) != flow.BadMessage || !strings.Contains(err.Error(), "x-bad") {
				t.Errorf("error = %v, want a bad message that names x-bad", err)
			}
		})
	}
}

func TestLargeEnvelopeTravelsInThePayload(t *testing.T) {
	m := fullMessage()
	m.Body = []byte("body")
	m.Headers = append(m.Headers, flow.Header{Name: "large", Value: strings.Repeat("x", 60<<10)})
	msg, err := encode("q", &m)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(msg.Header.Get(envelopeHeader)); n > 100 {
		t.Errorf("header has %d characters, want a few", n)
	}
	got := decode(msg, &nats.MsgMetadata{})
	if diff := cmp.Diff(m, got); diff != "" {
		t.Errorf("message changed (-sent +read):\n%s", diff)
	}
}

func TestBrokenEnvelopeLosesNothing(t *testing.T) {
	for _, text := range []string{"", "!", "@5", "@-1", "@x", "AA", "Ag", "AQE", "AQEC"} {
		t.Run(text, func(t *testing.T) {
			msg := &nats.Msg{Data: []byte("body"), Header: nats.Header{envelopeHeader: {text}, "a": {"1"}}}
			got := decode(msg, &nats.MsgMetadata{Stream: "s"})
			want := []flow.Header{{Name: envelopeHeader, Value: text}, {Name: "a", Value: "1"}}
			if diff := cmp.Diff(want, got.Headers); diff != "" {
				t.Errorf("headers (-want +got):\n%s", diff)
			}
			if string(got.Body) != "body" || !got.IDMade {
				t.Errorf("body = %q, id made %t, want the body and a made id", got.Body, got.IDMade)
			}
		})
	}
}

func FuzzEnvelope(f *testing.F) {
	m := fullMessage()
	data, err := appendEnvelope(nil, &m)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte{1, tagHeader, 3, 0, kindArray, 200})
	f.Fuzz(func(t *testing.T, data []byte) {
		var first, second flow.Message
		if readEnvelope(data, &first) != nil {
			return
		}
		written, err := appendEnvelope(nil, &first)
		if err != nil {
			t.Fatalf("what was read can't be written: %v", err)
		}
		if err := readEnvelope(written, &second); err != nil {
			t.Fatalf("what was written can't be read: %v", err)
		}
		if again, _ := appendEnvelope(nil, &second); len(again) != len(written) {
			t.Errorf("written %d bytes, then %d", len(written), len(again))
		}
	})
}
