package ports_test

import (
	"fmt"
	"net"
	"testing"

	"mqgateway/test/ports"
)

// TestNoPortIsGivenTwice holds that a port is kept although nobody listens on it, by
// the name that every process looks at.
func TestNoPortIsGivenTwice(t *testing.T) {
	given := map[int]bool{}
	for range 500 {
		port := ports.Free()
		if given[port] {
			t.Fatalf("port %d is given out twice", port)
		}
		given[port] = true
		if l, err := net.Listen("unix", fmt.Sprintf("@mqgateway-port-%d", port)); err == nil {
			_ = l.Close() // It is the failure.
			t.Errorf("port %d could be given out by another process", port)
		}
	}
}
