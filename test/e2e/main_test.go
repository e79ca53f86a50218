// Package e2e runs the gateway as its users do, as a process with a
// configuration file, between a real RabbitMQ and real gRPC services, and holds
// what it promises as a whole.
package e2e

import (
	"os"
	"testing"

	"mqgateway/test/gatewaytest"
)

func TestMain(m *testing.M) { os.Exit(gatewaytest.Main(m)) }
