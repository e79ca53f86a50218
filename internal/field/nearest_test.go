package field_test

import (
	"testing"

	"mqgateway/internal/field"
)

func TestNearest(t *testing.T) {
	known := []string{"SCName", "ServiceName", "SPName", "x"}
	for name, want := range map[string]string{
		"scname": "SCName", "SreviceName": "ServiceName", "ServiceNam": "ServiceName", "SPNamе": "SPName",
		"Destination": "", "": "", "y": "", "Имя": "",
	} {
		if got := field.Nearest(name, known); got != want {
			t.Errorf("Nearest(%q) = %q, want %q", name, got, want)
		}
	}
	if got, want := field.Suggest("SCNam", known), `; did you mean "SCName"?`; got != want {
		t.Errorf("Suggest = %q, want %q", got, want)
	}
	if got := field.Suggest("nothing", nil); got != "" {
		t.Errorf("Suggest = %q, want nothing", got)
	}
}
