// Package e2e runs the gateway as its users do, as a process with a
// configuration file, between a real RabbitMQ and real gRPC services, and holds
// what it promises as a whole.
package e2e

import (
	"flag"
	"fmt"
	"os"
	"testing"

	"mqgateway/test/gatewaytest"
)

// atOnce is how many tests run at the same time: most of their time they wait.
const atOnce = "8"

func TestMain(m *testing.M) {
	if err := flag.Set("test.parallel", atOnce); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(gatewaytest.Main(m))
}
