package flow_test

import (
	"testing"

	"mqgateway/internal/flow"
)

func TestPatterns(t *testing.T) {
	for _, tt := range []struct {
		pattern, text string
		want          bool
	}{
		{"", "", true},
		{"", "a", false},
		{"ORDERS", "ORDERS", true},
		{"ORDERS", "orders", false},
		{"ORDERS", "ORDERS.OUT", false},
		{"*", "", true},
		{"*", "ORDERS", true},
		{"ORDERS.*", "ORDERS.", true},
		{"ORDERS.*", "ORDERS", false},
		{"*.REPLY", "A.B.REPLY", true},
		{"A*A", "A", false},
		{"A*A", "AA", true},
		{"A*B*C", "A.B.B.C", true},
		{"A*B*C", "A.C.B", false},
		{"A**C", "AC", true},
		{"a.b", "axb", false},
	} {
		if got := flow.NewPattern(tt.pattern).Matches(tt.text); got != tt.want {
			t.Errorf("pattern %q, text %q: matches = %t, want %t", tt.pattern, tt.text, got, tt.want)
		}
	}
}
