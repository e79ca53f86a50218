package field_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"mqgateway/internal/field"
)

func TestUnderPutsThePathInFront(t *testing.T) {
	err := errors.Join(
		field.Errorf("port", "70000 is no port"),
		field.At("[2].expr", 7, errors.New("unexpected token")),
		errors.New("of the block itself"),
		field.Under("tls", errors.Join(field.Errorf("key", "missing"), nil)),
	)
	type problem struct {
		Path   string
		Offset int
		Text   string
	}
	var got []problem
	for _, p := range field.All(field.Under("mq.list", err)) {
		got = append(got, problem{p.Path, p.Offset, p.Err.Error()})
	}
	want := []problem{
		{"mq.list.port", -1, "70000 is no port"},
		{"mq.list[2].expr", 7, "unexpected token"},
		{"mq.list", -1, "of the block itself"},
		{"mq.list.tls.key", -1, "missing"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("problems (-want +got):\n%s", diff)
	}
}

func TestNoProblems(t *testing.T) {
	if err := field.Under("mq", nil); err != nil {
		t.Errorf("Under(nil) = %v, want nil", err)
	}
	if all := field.All(errors.Join(nil, nil)); len(all) != 0 {
		t.Errorf("All = %v, want none", all)
	}
}

func ExampleErrorf() {
	fmt.Println(field.Under("grpc.server", field.Errorf("serverPort", "%d is no port", 70000)))
	// Output: grpc.server.serverPort: 70000 is no port
}
