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

// TestCheckConnectTriesTheExchangeOfReplies with the rights that it takes, and without
// one of them.
func TestCheckConnectTriesTheExchangeOfReplies(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, configure, write, read string
		problem                      string // what could not be done; empty where all can
	}{
		{"all rights", `^R\.GW.*`, `^R\.GW.*|^amq\.default$`, `^R\.GW.*`, ""},
		{"not to make", `^none$`, `^R\.GW.*|^amq\.default$`, `^R\.GW.*`, "declaring exchange"},
		{"not to write", `^R\.GW.*`, `^amq\.default$`, `^R\.GW.*`, "binding queue"},
		{"not to hand over", `^R\.GW.*`, `^R\.GW.*`, `^R\.GW.*`, "sending to queue"},
		{"not to read", `^R\.GW.*`, `^R\.GW.*|^amq\.default$`, `^R$`, "binding queue"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			vhost := rabbittest.Shared(t).VHost(t)
			newPartner(t, vhost, "OUT", "R")
			r := gatewaytest.Run(t, fmt.Sprintf(`
mq:
  systemType: sp
  workMode: sync
  connection: {connections: [{uri: %q, queueManager: QM1}], sendQueue: OUT}
  syncReceiver: {replyToMode: SHARED, defaultReceiveQueue: R}
`, vhost.UserURI(t, tt.configure, tt.write, tt.read)), "check", "--connect")
			const good, bad = "replies of R on QM1: instances can exchange them\n", "replies of R on QM1: instances can't exchange replies (which takes the rights"
			switch {
			case tt.problem == "" && (r.Code != 0 || !strings.Contains(r.Stdout, good)):
				t.Errorf("exit code %d, want 0 and a line for the replies:\n%s%s", r.Code, r.Stdout, r.Stderr)
			case tt.problem != "" && (r.Code != 1 || !strings.Contains(r.Stderr, bad) || !strings.Contains(r.Stderr, tt.problem)):
				t.Errorf("exit code %d, want 1 and a line with %q:\n%s%s", r.Code, tt.problem, r.Stdout, r.Stderr)
			}
		})
	}
}
