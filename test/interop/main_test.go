// Package interop puts the gateway between programs that are not ours, as its
// users have them: nginx that dispatches by authority, clients of AMQP, gRPC and
// NATS in other languages or from other hands. What they run and are configured
// with are the files that docs/interoperability.md shows.
package interop

import (
	"os"
	"testing"

	"mqgateway/test/gatewaytest"
)

func TestMain(m *testing.M) { os.Exit(gatewaytest.Main(m)) }
