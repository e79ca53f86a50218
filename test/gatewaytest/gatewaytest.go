// Package gatewaytest runs the gateway in tests as its users do, as a process
// with a configuration file, next to services that remember their calls.
//
// A package that uses it says so in TestMain:
//
//	func TestMain(m *testing.M) { os.Exit(gatewaytest.Main(m)) }
package gatewaytest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"mqgateway/test/leaks"
	"mqgateway/test/rabbittest"
)

// Patience is how long anything may take before a test gives up.
const Patience = 2 * time.Minute

// binary is the gateway, built once for all tests of a process by Main.
var binary string

// Main builds the gateway, runs the tests, and looks for goroutines that they
// left. It returns the code for os.Exit.
func Main(m *testing.M) int {
	dir, err := os.MkdirTemp("", "gateway-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	binary = filepath.Join(dir, "gateway")
	build := exec.Command("go", "build", "-o", binary, "mqgateway/cmd/gateway")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "building the gateway: %v\n%s", err, out)
		return 1
	}
	return rabbittest.Main(m, leaks.Find)
}

// Eventually polls until check has no complaint.
func Eventually(t testing.TB, check func() error) {
	t.Helper()
	end := time.Now().Add(Patience)
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("after %v: %v", Patience, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}
