// Package gatewaytest runs the gateway in tests as its users do, as a process
// with a configuration file, next to services that remember their calls.
//
// A package that uses it says so in TestMain:
//
//	func TestMain(m *testing.M) { os.Exit(gatewaytest.Main(m)) }
package gatewaytest

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"go.uber.org/goleak"

	"mqgateway/test/rabbittest"
)

// Patience is how long anything may take before a test gives up.
const Patience = 60 * time.Second

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
	return rabbittest.Main(m, func() error { return goleak.Find() })
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

// FreePort finds a port of 127.0.0.1 for a program that can't choose one itself.
// It lies below the range that the kernel takes outgoing connections from.
func FreePort(t testing.TB) int {
	t.Helper()
	for {
		port := 10_000 + rand.IntN(22_000)
		listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			continue // somebody has it
		}
		if err := listener.Close(); err != nil {
			t.Fatal(err)
		}
		return port
	}
}
