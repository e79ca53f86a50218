package mapping_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"mqgateway/internal/field"
	"mqgateway/internal/mapping"
)

func TestOutboundConfigValidate(t *testing.T) {
	t.Parallel()
	many := map[string]string{}
	for i := range 257 {
		many[fmt.Sprint("h", i)] = ""
	}
	for _, tt := range []struct {
		name   string
		config mapping.OutboundConfig
		paths  string
	}{
		{"empty", mapping.OutboundConfig{}, ""},
		{"full", mapping.OutboundConfig{
			DeliveryMode: "non-persistent", Priority: 255, Expiry: time.Hour, Headers: map[string]string{"x-from": "gateway"},
		}, ""},
		{"everything is wrong", mapping.OutboundConfig{
			DeliveryMode: "transient", Priority: 256, Expiry: -time.Second,
			Headers: map[string]string{"CC": "x", "x-gateway-a": "x", "long": strings.Repeat("x", 40<<10)},
		}, "deliveryMode priority expiry headers.CC headers.long headers.x-gateway-a"},
		{"too long to live", mapping.OutboundConfig{Expiry: 50 * 24 * time.Hour}, "expiry"},
		{"too many headers", mapping.OutboundConfig{Headers: many}, "headers"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var paths []string
			for _, e := range field.All(tt.config.Validate()) {
				paths = append(paths, e.Path)
			}
			if got := strings.Join(paths, " "); got != tt.paths {
				t.Errorf("problems at %q, want %q", got, tt.paths)
			}
		})
	}
}
