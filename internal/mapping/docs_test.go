package mapping_test

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"mqgateway/internal/flow"
)

// TestThePageHasEveryProperty holds the table of docs/mapping.md against the one
// that the program goes by.
func TestThePageHasEveryProperty(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/mapping.md")
	if err != nil {
		t.Fatal(err)
	}
	type row struct {
		Name     string
		Aliases  string
		ReadOnly bool
	}
	var want, got []row
	for _, p := range flow.Properties {
		want = append(want, row{p.Name, strings.Join(p.Aliases, ", "), p.ReadOnly})
	}
	_, table, _ := strings.Cut(string(page), "| name | aliases |")
	table, _, _ = strings.Cut(table, "\n\n")
	for _, line := range strings.Split(table, "\n")[2:] {
		cells := strings.Split(strings.ReplaceAll(line, "`", ""), "|")
		got = append(got, row{strings.TrimSpace(cells[1]), strings.TrimSpace(cells[2]), strings.TrimSpace(cells[4]) == "yes"})
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("rows of the page (-want +got):\n%s", diff)
	}
}
