package e2e

import (
	"fmt"
	"strings"
	"testing"

	"mqgateway/test/gatewaytest"
	"mqgateway/test/rabbittest"
)

// TestCheckConnectTellsWhatIsMissing finds a queue that is there, one that is missing,
// and the service.
func TestCheckConnectTellsWhatIsMissing(t *testing.T) {
	t.Parallel()
	vhost, service := rabbittest.Shared(t).VHost(t), gatewaytest.Serve(t, "")
	config := fmt.Sprintf(`
mq:
  workMode: async
  connection:
    connections: [{uri: %q, queueManager: QM1}]
    receiveQueue: [IN, MISSING]
grpc: {client: {settings: {default: {hostname: 127.0.0.1, port: %s}}}}
routing: {routeList: [{destinationExpression: "'orders'"}]}
`, vhost.URI(), service.Port())
	if _, err := vhost.Channel(t).QueueDeclare("IN", true, false, false, false, nil); err != nil {
		t.Fatal(err)
	}
	r := gatewaytest.Run(t, config, "check", "--connect")
	if r.Code != 1 {
		t.Errorf("exit code = %d, want 1", r.Code)
	}
	for _, want := range []string{"manager QM1: connected\n", "queue IN on QM1: there, 0 messages\n", "services at 127.0.0.1:" + service.Port() + ": connected\n"} {
		if !strings.Contains(r.Stdout, want) {
			t.Errorf("stdout has no %q", want)
		}
	}
	for _, want := range []string{"queue MISSING on QM1: missing: create it, or set mq.connection.declareQueues\n", "gateway: 1 thing not reached\n"} {
		if !strings.Contains(r.Stderr, want) {
			t.Errorf("stderr has no %q", want)
		}
	}
	declared := gatewaytest.Run(t, strings.Replace(config, "  connection:\n", "  connection:\n    declareQueues: quorum\n", 1), "check", "--connect")
	if declared.Code != 0 || !strings.Contains(declared.Stdout, "queue MISSING on QM1: missing; a gateway makes it\n") {
		t.Errorf("with declareQueues: exit code %d, want 0 and a line for MISSING", declared.Code)
	}
}
