// Package e2e runs the gateway as its users do, as a process with a
// configuration file, between a real RabbitMQ and real gRPC services, and holds
// what it promises as a whole.
package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"mqgateway/test/rabbittest"
)

// binary is the gateway, built once for all tests.
var binary string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "gateway-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	binary = filepath.Join(dir, "gateway")
	build := exec.Command("go", "build", "-o", binary, "mqgateway/cmd/gateway")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "building the gateway: %v\n%s", err, out)
		os.Exit(1)
	}
	code := rabbittest.Main(m, func() error { return goleak.Find() })
	_ = os.RemoveAll(dir)
	os.Exit(code)
}
