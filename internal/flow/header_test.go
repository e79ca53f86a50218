package flow_test

import (
	"math"
	"testing"
	"time"

	"mqgateway/internal/flow"
)

func TestHeaderText(t *testing.T) {
	at := time.Date(2026, 3, 5, 8, 44, 9, 0, time.FixedZone("MSK", 3*3600))
	for _, tt := range []struct {
		name  string
		value any
		want  string
	}{
		{"null", nil, ""},
		{"string", "Привет <&>", "Привет <&>"},
		{"bool", true, "true"},
		{"int8", int8(-8), "-8"},
		{"int16", int16(-16), "-16"},
		{"int32", int32(32), "32"},
		{"int64", int64(math.MinInt64), "-9223372036854775808"},
		{"uint8", uint8(8), "8"},
		{"uint16", uint16(16), "16"},
		{"uint32", uint32(32), "32"},
		{"uint64", uint64(math.MaxUint64), "18446744073709551615"},
		{"float32", float32(0.1), "0.1"},
		{"float64", 1e21, "1000000000000000000000"},
		{"small float64", 1e-7, "0.0000001"},
		{"whole float64", float64(5), "5"},
		{"time", at, "2026-03-05T05:44:09Z"},
		{"time with a fraction", at.Add(5 * time.Millisecond), "2026-03-05T05:44:09.005Z"},
		{"bytes of text", []byte("абв"), "абв"},
		{"bytes", []byte{0xff, 0xfe}, "//4="},
		{"no bytes", []byte{}, ""},
		{"decimal", flow.Decimal{Scale: 2, Value: 1200}, "12.00"},
		{"decimal below one", flow.Decimal{Scale: 3, Value: -5}, "-0.005"},
		{"decimal as large as its scale", flow.Decimal{Scale: 3, Value: 123}, "0.123"},
		{"decimal without scale", flow.Decimal{Value: math.MinInt32}, "-2147483648"},
		{"empty table", map[string]any{}, "{}"},
		{"empty array", []any{}, "[]"},
		{
			"table",
			map[string]any{
				"b": []any{int32(1), nil, "x\"<", []byte{0xff}, true, at},
				"a": map[string]any{"d": flow.Decimal{Scale: 1, Value: 15}, "f": 1e21, "n": math.NaN(), "g": float32(0.5)},
			},
			`{"a":{"d":1.5,"f":1000000000000000000000,"g":0.5,"n":"NaN"},"b":[1,null,"x\"<","/w==",true,"2026-03-05T05:44:09Z"]}`,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := (flow.Header{Name: "h", Value: tt.value}).Text(); got != tt.want {
				t.Errorf("Text() = %q, want %q", got, tt.want)
			}
		})
	}
}

func TestHeaderReserved(t *testing.T) {
	for name, want := range map[string]bool{
		"x-death": true, "X-Death": true, "x-first-death-queue": true, "x-last-death-reason": true,
		"x-delivery-count": true, "CC": true, "BCC": true, "x-gateway-error": true, "X-Gateway-Error": true,
		"x-mq-msg-type": true, "x-reply-to-manager": true,
		"": false, "x": false, "x-": false, "cc": false, "CCY": false, "x-deathly": false, "x-gateway": false,
		"x-first-death": false, "OperationName": false, "x-request-id": false,
	} {
		if got := (flow.Header{Name: name}).Reserved(); got != want {
			t.Errorf("Reserved() of %q = %v, want %v", name, got, want)
		}
	}
}
