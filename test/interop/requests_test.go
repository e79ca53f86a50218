package interop

import (
	"fmt"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protojson"

	pb "mqgateway/api/proto/gateway"
	"mqgateway/test/gatewaytest"
	"mqgateway/test/rabbittest"
)

func TestRPCClientsOfPikaAreAnswered(t *testing.T) {
	t.Parallel()
	vhost := rabbittest.Shared(t).VHost(t)
	queues(t, vhost, "IN")
	s := gatewaytest.Serve(t, "")
	s.Answer(func(in *pb.ProtoMessage) *pb.ProtoMessage {
		return &pb.ProtoMessage{Body: strings.Replace(in.GetBody(), "Order", "Answer", 1)}
	})
	g := gatewaytest.Start(t, fmt.Sprintf(`
mq:
  systemType: sc
  workMode: sync
  connection: {connections: [{uri: %q, queueManager: QM1}], receiveQueue: IN}
grpc: {client: {settings: {default: {hostname: 127.0.0.1, port: %s}}}}
routing: {routeList: [{destinationExpression: "'orders'"}]}
`, vhost.URI(), s.Port()))
	g.WaitReady(t, 200)
	requests := map[string]string{}
	for i := range 20 {
		requests[fmt.Sprintf(`<Order client="Анна">%d</Order>`, i)] = fmt.Sprintf(`<Answer client="Анна">%d</Order>`, i)
	}
	var lines strings.Builder
	for request := range requests {
		fmt.Fprintln(&lines, request)
	}
	for name, replyTo := range map[string][]string{"queue of its own": nil, "direct reply-to": {"amq.rabbitmq.reply-to"}} {
		out, err := python(t, lines.String(), "request.py", append([]string{vhost.URI(), "IN"}, replyTo...)...)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		got := map[string]string{}
		for line := range strings.Lines(out) {
			request, reply, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
			got[request] = reply
		}
		if diff := cmp.Diff(requests, got); diff != "" {
			t.Errorf("%s: replies (-want +got):\n%s", name, diff)
		}
	}
	if n := vhost.Messages(t, "IN.DLQ"); n > 0 {
		t.Errorf("dead letters = %d, want none", n)
	}
}

func TestPythonCallerGetsTheReplyOfPika(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"UNIQUE", "DIRECT"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			vhost := rabbittest.Shared(t).VHost(t)
			queues(t, vhost, "OUT")
			g := gatewaytest.Start(t, fmt.Sprintf(`
mq:
  systemType: sp
  workMode: sync
  connection: {connections: [{uri: %q, queueManager: QM1}], sendQueue: OUT}
  syncReceiver: {replyToMode: %s, defaultReceiveQueue: REPLIES}
`, vhost.URI(), mode))
			g.WaitReady(t, 200)
			runReplies(t, vhost)
			out, err := python(t, `<order client="анна">5</order>`, "call.py", g.GRPC, "sync", "@MsgId=m-1", "@CorrelId=c-1", "имя=Анна")
			if err != nil {
				t.Fatal(err)
			}
			var reply pb.ProtoMessage
			if err := protojson.Unmarshal([]byte(out), &reply); err != nil {
				t.Fatalf("call.py printed %q: %v", out, err)
			}
			if reply.GetBody() != `<ORDER CLIENT="АННА">5</ORDER>` || reply.GetCorrelationId() != "c-1" || reply.GetUserHeaders()["имя"] != "Анна" {
				t.Errorf("reply = %v, want that of reply.py", &reply)
			}
		})
	}
}

// runReplies runs reply.py on queue OUT until the test ends.
func runReplies(t *testing.T, vhost *rabbittest.VHost) {
	t.Helper()
	cmd := exec.Command("/usr/bin/python3", "-I", examples+"reply.py", vhost.URI(), "OUT")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var complaints strings.Builder
	cmd.Stderr = &complaints
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("reply.py: %s", complaints.String())
		}
	})
}
