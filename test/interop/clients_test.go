package interop

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"mqgateway/test/gatewaytest"
	"mqgateway/test/rabbittest"
)

// startProvider runs a provider gateway that sends to queue OUT.
func startProvider(t *testing.T) (*gatewaytest.Gateway, *rabbittest.VHost) {
	t.Helper()
	vhost := rabbittest.Shared(t).VHost(t)
	queues(t, vhost, "OUT")
	g := gatewaytest.Start(t, fmt.Sprintf(`
mq:
  systemType: sp
  workMode: async
  connection: {connections: [{uri: %q, queueManager: QM1}], sendQueue: OUT}
`, vhost.URI()))
	g.WaitReady(t, 200)
	return g, vhost
}

func TestMessageOfAPythonClientIsReadByPika(t *testing.T) {
	t.Parallel()
	g, vhost := startProvider(t)
	const body = `<Order client="Анна">5</Order>`
	out, err := python(t, body, "call.py", g.GRPC, "@MsgId=m-1", "@CorrelId=c-1", "@ReplyToQ=ANSWERS", "@Priority=5",
		"@Expiry=600000", "@Type=order", "trace=t-1", "имя=Анна", "empty=")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out, `"messageId": "m-1"`) {
		t.Errorf("heartbeat = %s, want the message's id", out)
	}
	want := received{
		ID: "m-1", Correlation: "c-1", ReplyTo: "ANSWERS", Type: "order", ContentType: "text/xml; charset=utf-8",
		Expiration: "600000", Priority: 5, Mode: 2, Headers: map[string]string{"trace": "t-1", "имя": "Анна", "empty": ""}, Body: body,
	}
	if diff := cmp.Diff(want, receive(t, vhost, "OUT")); diff != "" {
		t.Errorf("message on the queue (-want +got):\n%s", diff)
	}
}

func TestPythonClientIsToldWhatFailed(t *testing.T) {
	t.Parallel()
	g, _ := startProvider(t)
	_, err := python(t, "<Order/>", "call.py", g.GRPC, "@Priority=high")
	if err == nil || !strings.Contains(err.Error(), "INVALID_ARGUMENT") || !strings.Contains(err.Error(), "Priority") {
		t.Errorf("err = %v, want INVALID_ARGUMENT that names Priority", err)
	}
}

// TestGrpcurlByTheCommandsOfThePage runs each grpcurl command of the page, in
// their order, on a provider gateway.
func TestGrpcurlByTheCommandsOfThePage(t *testing.T) {
	t.Parallel()
	g, vhost := startProvider(t)
	path := fmt.Sprintf("PATH=%q:$PATH\n", filepath.Dir(grpcurl(t)))
	commands := pageCommands(t, "grpcurl")
	want := [][]string{
		{"com.sbt.synapse.gateway.MessageAsyncChannel", "grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection"},
		{"rpc processMessage ( .com.sbt.synapse.gateway.ProtoMessage ) returns ( .com.sbt.synapse.gateway.Heartbeat );"},
		{"map<string, string> userHeaders = 4;", ".google.protobuf.Any extension = 15;"},
		{`"status": "SERVING"`},
		{`"messageId": "order-1"`, `"timestamp"`},
	}
	if len(commands) != len(want) {
		t.Fatalf("the page has %d commands, want %d", len(commands), len(want))
	}
	for i, command := range commands {
		out, err := run(t, "", "/bin/sh", "-c", path+strings.ReplaceAll(command, "127.0.0.1:5454", g.GRPC))
		if err != nil {
			t.Errorf("%s\n%v", command, err)
		}
		for _, text := range want[i] {
			if !strings.Contains(out, text) {
				t.Errorf("%s\nprinted %s, want %q in it", command, out, text)
			}
		}
	}
	message := received{
		ID: "order-1", Correlation: "c-1", ReplyTo: "ORDERS.ANSWERS", Type: "order", ContentType: "text/xml; charset=utf-8",
		Expiration: "600000", Priority: 5, Mode: 2, Headers: map[string]string{"trace": "t-1"}, Body: "<Order>5</Order>",
	}
	if diff := cmp.Diff(message, receive(t, vhost, "OUT")); diff != "" {
		t.Errorf("message on the queue (-want +got):\n%s", diff)
	}
}
