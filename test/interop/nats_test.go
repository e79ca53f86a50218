package interop

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"mqgateway/test/gatewaytest"
	"mqgateway/test/ports"
)

// embedded is a consumer gateway with a broker inside that listens on a port.
type embedded struct {
	service *gatewaytest.Service
	// url is where the broker is, with the token that the gateway made for it.
	url string
}

func startEmbedded(t *testing.T) embedded {
	t.Helper()
	s := gatewaytest.Serve(t, "")
	directory, port := filepath.Join(t.TempDir(), "data"), ports.Free()
	gatewaytest.Start(t, fmt.Sprintf(`
mq:
  provider: embedded
  systemType: sc
  workMode: async
  embedded: {directory: %q, listen: "127.0.0.1:%d"}
  connection: {receiveQueue: [ORDERS.IN, "a queue/2"]}
grpc: {client: {settings: {default: {hostname: 127.0.0.1, port: %s}}}}
routing: {routeList: [{destinationExpression: "'orders'"}]}
`, directory, port, s.Port()))
	token, err := os.ReadFile(filepath.Join(directory, "token"))
	if err != nil {
		t.Fatal(err)
	}
	return embedded{s, fmt.Sprintf("nats://%s@127.0.0.1:%d", strings.TrimSpace(string(token)), port)}
}

// waitHandled waits until no message is left in a stream.
func (e embedded) waitHandled(t *testing.T, stream string) {
	t.Helper()
	conn, err := nats.Connect(e.url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	gatewaytest.Eventually(t, func() error {
		s, err := js.Stream(t.Context(), stream)
		if err != nil {
			return err
		}
		if n := s.CachedInfo().State.Msgs; n != 0 {
			return fmt.Errorf("%d messages in %q, want 0", n, stream)
		}
		return nil
	})
}

func TestMessagesOfANATSClientReachServices(t *testing.T) {
	t.Parallel()
	program := filepath.Join(t.TempDir(), "natspublish")
	if out, err := exec.Command("go", "build", "-o", program, "../../examples/interoperability/natspublish").CombinedOutput(); err != nil {
		t.Fatalf("building natspublish: %v\n%s", err, out)
	}
	e := startEmbedded(t)
	for i, tt := range []struct {
		name, subject, stream, body string
		headers                     map[string]string
	}{
		{"plain name", "mq.ORDERS.IN", "MQ_ORDERS=2EIN", `<Order client="Анна"/>`, map[string]string{"Route": "orders", "trace": "t-1"}},
		{"other characters", "mq.a=20queue=2F2", "MQ_a=20queue=2F2", `{"order":1}`, nil},
	} {
		args := []string{e.url, tt.subject}
		for name, value := range tt.headers {
			args = append(args, name+"="+value)
		}
		if _, err := run(t, tt.body, program, args...); err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		call := e.service.WaitCalls(t, i+1)[i]
		m := call.Message
		if call.Authority != "orders" || m.GetBody() != tt.body || m.GetMessageId() == "" {
			t.Errorf("%s: call = %+v, want the body as sent, and an id made for it", tt.name, call)
		}
		if diff := cmp.Diff(tt.headers, m.GetUserHeaders()); diff != "" {
			t.Errorf("%s: user headers (-want +got):\n%s", tt.name, diff)
		}
		e.waitHandled(t, tt.stream)
	}
	for name, args := range map[string][]string{
		"queue that the configuration does not name": {e.url, "mq.OTHER"},
		"wrong token": {strings.Replace(e.url, "nats://", "nats://x", 1), "mq.ORDERS.IN"},
	} {
		if out, err := run(t, "<Order/>", program, args...); err == nil {
			t.Errorf("%s: publishing printed %q, want it refused", name, out)
		}
	}
}
