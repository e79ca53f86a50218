package interop

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	amqp "github.com/rabbitmq/amqp091-go"
	"google.golang.org/grpc/codes"

	"mqgateway/test/gatewaytest"
	"mqgateway/test/rabbittest"
)

// nginxClient is how the page tells a gateway where nginx is.
const nginxClient = "grpc: {client: {settings: {default: {hostname: 127.0.0.1, port: 5460}}}}\n"

// mesh is a consumer gateway between queue IN and three services behind nginx.
type mesh struct {
	vhost    *rabbittest.VHost
	services map[string]*gatewaytest.Service
	nginx    *nginx
	gateway  *gatewaytest.Gateway
}

// startMesh runs all parts; lines of nginx's configuration are replaced.
func startMesh(t *testing.T, replace ...string) mesh {
	t.Helper()
	m := startServices(t, replace...)
	m.startGateway(t)
	return m
}

// startServices runs all parts but for the gateway.
func startServices(t *testing.T, replace ...string) mesh {
	t.Helper()
	m := mesh{vhost: rabbittest.Shared(t).VHost(t), services: map[string]*gatewaytest.Service{}}
	queues(t, m.vhost, "IN")
	for i, name := range []string{"clients", "delivery", "background"} {
		s := gatewaytest.Serve(t, "")
		m.services[name] = s
		replace = append(replace, fmt.Sprintf("127.0.0.1:700%d", i+1), s.Address)
	}
	m.nginx = startNginx(t, replace...)
	return m
}

func (m *mesh) startGateway(t *testing.T) {
	t.Helper()
	routing, err := os.ReadFile("testdata/routing-go.yml")
	if err != nil {
		t.Fatal(err)
	}
	m.gateway = gatewaytest.Start(t, fmt.Sprintf(`
mq:
  systemType: sc
  workMode: async
  connection: {connections: [{uri: %q, queueManager: QM1}], receiveQueue: IN}
%s%s`, m.vhost.URI(), strings.Replace(nginxClient, "5460", m.nginx.port, 1), routing))
}

// calls are the calls of all services.
func (m mesh) calls() []gatewaytest.Call {
	var all []gatewaytest.Call
	for _, s := range m.services {
		all = append(all, s.Calls()...)
	}
	return all
}

// arrival is what a service saw of a message.
type arrival struct {
	Service, Authority, Body string
	Headers                  map[string]string
}

// arrivals waits for n calls and returns what came, by message id.
func (m mesh) arrivals(t *testing.T, n int) map[string]arrival {
	t.Helper()
	gatewaytest.Eventually(t, func() error {
		if got := len(m.calls()); got < n {
			return fmt.Errorf("%d calls of services, want %d", got, n)
		}
		return nil
	})
	all := map[string]arrival{}
	for name, s := range m.services {
		for _, c := range s.Calls() {
			all[c.Message.GetMessageId()] = arrival{name, c.Authority, c.Message.GetBody(), c.Message.GetUserHeaders()}
		}
	}
	return all
}

func TestMessagesOfPikaReachServicesThroughNginxByOneConnection(t *testing.T) {
	t.Parallel()
	m := startServices(t)
	hold := make(chan struct{}) // all calls are on their way at the same time
	for _, s := range m.services {
		s.Set(codes.OK, hold)
	}
	const delivery = "post-srvgetcarddeliverystatus-crm-rq"
	messages := []struct {
		name, body         string
		headers            []string
		service, authority string
	}{
		{
			"joined", `<?xml version="1.0" encoding="UTF-8"?><c:GetClientRq xmlns:c="urn:crm"><name>Анна</name></c:GetClientRq>`,
			[]string{"Route=joined", "trace=t-1"},
			"clients", "crm-GetClient-bank",
		},
		{"indexed", `<GetCardRq/>`, []string{"Route=indexed"}, "clients", "crm-srvGetCard-bank"},
		{"double quotes", `{"route":"double-quoted","name":"Анна"}`, nil, "delivery", delivery},
		{"single quotes", `{"route":"single-quoted"}`, []string{"a=1", "б=да"}, "delivery", delivery},
		{"parentheses", `<Order/>`, []string{"Route=in-parentheses"}, "delivery", delivery},
		{"default", `<Order>` + strings.Repeat("x", 90<<10) + `</Order>`, []string{"Mode=Async"}, "background", "svc-async"},
		{"default, other branch", `[1, 2]`, []string{"Mode=crm-x-bank"}, "clients", "crm-x-bank"},
	}
	want := map[string]arrival{}
	for _, message := range messages {
		id := publish(t, m.vhost, message.body, message.headers...)
		want[id] = arrival{message.service, message.authority, message.body, pairs(message.headers)}
	}
	m.startGateway(t) // not before: Python takes its time, and nginx ends calls that take longer
	arrived := m.arrivals(t, len(messages))
	close(hold)
	if diff := cmp.Diff(want, arrived); diff != "" {
		t.Errorf("messages at the services (-want +got):\n%s", diff)
	}
	accesses := m.nginx.waitAccesses(t, len(messages))
	for _, a := range accesses {
		if a.path != "/com.sbt.synapse.gateway.MessageAsyncChannel/processMessage" || a.status != "200" {
			t.Errorf("call at nginx = %+v, want one of the wire API that worked", a)
		}
	}
	if got := len(connections(accesses)); got != 1 || len(accesses) != len(messages) {
		t.Errorf("nginx took %d calls by %d connections, want %d by one", len(accesses), got, len(messages))
	}
}

// pairs reads NAME=VALUE, as the examples take headers; none is nil.
func pairs(headers []string) map[string]string {
	var all map[string]string
	for _, h := range headers {
		if all == nil {
			all = map[string]string{}
		}
		name, value, _ := strings.Cut(h, "=")
		all[name] = value
	}
	return all
}

func TestAuthorityThatNginxDoesNotKnowIsDeadLettered(t *testing.T) {
	t.Parallel()
	m := startMesh(t)
	id := publish(t, m.vhost, "<Order/>", "Mode=nobody-home")
	letter := receive(t, m.vhost, "IN.DLQ")
	if letter.ID != id || letter.Body != "<Order/>" || letter.Headers["Mode"] != "nobody-home" {
		t.Errorf("dead letter = %+v, want the message %s", letter, id)
	}
	reason := letter.Headers["x-gateway-error"]
	if letter.Headers["x-gateway-error-code"] != "602" || !strings.Contains(reason, `"nobody-home"`) || !strings.Contains(reason, "404") {
		t.Errorf("headers = %v, want 602, the authority and what nginx answered", letter.Headers)
	}
	if a := m.nginx.waitAccesses(t, 1); len(a) != 1 || a[0].host != "nobody-home" || a[0].status != "404" {
		t.Errorf("calls at nginx = %+v, want one that is refused: a permanent failure is not retried", a)
	}
}

func TestServiceThatIsDownBehindNginxGetsItsMessagesLater(t *testing.T) {
	t.Parallel()
	m := startMesh(t)
	down := m.services["background"]
	down.Stop()
	id := publish(t, m.vhost, "<Order/>", "Mode=async")
	m.gateway.WaitForLog(t, "message failed; trying again in place")
	up := gatewaytest.Serve(t, down.Address)
	if got := up.WaitCalls(t, 1)[0]; got.Message.GetMessageId() != id {
		t.Errorf("call = %v, want message %s", got, id)
	}
	waitEmpty(t, m.vhost, "IN")
}

// TestNginxThatEndsConnectionsLosesNoMessage holds that a call which nginx did
// not take, because its connection had all the requests that it may have, goes
// over the next one: nothing is lost, and nothing comes twice.
func TestNginxThatEndsConnectionsLosesNoMessage(t *testing.T) {
	t.Parallel()
	const n, perConnection = 600, 50
	m := startMesh(t, "client_max_body_size 4m;", fmt.Sprintf("keepalive_requests %d;", perConnection))
	channel := m.vhost.Channel(t)
	for i := range n {
		message := amqp.Publishing{MessageId: fmt.Sprint(i), Headers: amqp.Table{"Mode": "async"}, Body: []byte("<Order/>")}
		if err := channel.PublishWithContext(t.Context(), "", "IN", true, false, message); err != nil {
			t.Fatal(err)
		}
	}
	if got := len(m.arrivals(t, n)); got != n {
		t.Errorf("%d different messages reached the service, want %d", got, n)
	}
	waitEmpty(t, m.vhost, "IN")
	if got := len(m.calls()); got != n {
		t.Errorf("calls = %d, want each message once", got)
	}
	if got := len(connections(m.nginx.waitAccesses(t, n))); got < n/perConnection {
		t.Errorf("connections = %d, want at least %d", got, n/perConnection)
	}
}

// waitEmpty waits until a queue has no messages, unsettled ones counted.
func waitEmpty(t *testing.T, vhost *rabbittest.VHost, queue string) {
	t.Helper()
	gatewaytest.Eventually(t, func() error {
		if n := vhost.Messages(t, queue); n != 0 {
			return fmt.Errorf("%d messages in %q, want 0", n, queue)
		}
		return nil
	})
}
