package faults

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"

	"mqgateway/test/faults/proxy"
	"mqgateway/test/gatewaytest"
	"mqgateway/test/ports"
)

// replica is one gateway on a port of its own, behind a bad network. It can be ended
// in all ways and started again.
type replica struct {
	name, config string
	port         int
	network      *proxy.Proxy
	conn         *grpc.ClientConn // of those who call it

	gateway *gatewaytest.Gateway
	past    []*gatewaytest.Gateway // those that it was before
}

// link makes the lines of the configuration that reach the broker at an address.
type link func(address string, heartbeat time.Duration) (below, connection string)

// newReplica makes a gateway that reaches the broker through a proxy.
func newReplica(t *testing.T, name, config, broker string, l link, heartbeat time.Duration) *replica {
	t.Helper()
	r := &replica{name: name, port: ports.Free(), network: proxy.Start(t, broker)}
	below, connection := l(r.network.Address, heartbeat)
	r.config = strings.NewReplacer("NAME", name, "PORT", fmt.Sprint(r.port), "BROKER", below, "CONNECTION", connection).Replace(config)
	var err error
	r.conn, err = grpc.NewClient(fmt.Sprintf("127.0.0.1:%d", r.port),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 50 * time.Millisecond, Multiplier: 1.5, MaxDelay: 500 * time.Millisecond},
			MinConnectTimeout: time.Second,
		}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.conn.Close() })
	r.start(t)
	return r
}

func (r *replica) start(t *testing.T) {
	t.Helper()
	if r.gateway != nil {
		r.past = append(r.past, r.gateway)
	}
	r.gateway = gatewaytest.Start(t, r.config)
}

// stop ends the gateway in order and returns how long that took.
func (r *replica) stop(t *testing.T) time.Duration {
	t.Helper()
	start := time.Now()
	r.gateway.Stop(t)
	return time.Since(start)
}

// told counts the log lines, of all its lives, that begin with the text.
func (r *replica) told(text string) int {
	n := 0
	for _, g := range append(r.past, r.gateway) {
		n += len(g.Logged(text))
	}
	return n
}

// logged counts the log lines, of all its lives, that have the text somewhere in
// their error.
func (r *replica) logged(text string) int {
	n := 0
	for _, g := range append(r.past, r.gateway) {
		for _, line := range g.Logged("") {
			if strings.Contains(fmt.Sprint(line["err"]), text) {
				n++
			}
		}
	}
	return n
}

// The queues of the flows.
const (
	queueIn      = "IN"      // messages for the service
	queueAsk     = "ASK"     // requests for the service
	queueAnswers = "ANSWERS" // its answers
	queueOut     = "OUT"     // what callers send and ask
	queueCopies  = "COPIES"  // where nothing is meant to go
)

// consumer is a gateway between the queues IN and ASK and the service.
func consumer(s *service) string {
	_, port, _ := strings.Cut(s.address, ":")
	return fmt.Sprintf(`
mq:
  instance: NAME
  BROKER
  systemType: sc
  connection:
    CONNECTION
    confirmTimeout: 5s
    receiveQueue: IN
    receiveQueueSync: ASK
    sendToCustomDestination: true
grpc: {server: {serverPort: PORT}, client: {settings: {default: {hostname: 127.0.0.1, port: %s, timeout: 10s}}}}
routing:
  routeList:
    - destinationExpression: Root
      variables: [{name: Root, valueFrom: [{type: fromBody, value: local-name(/*)}]}]
`, port)
}

// provider is a gateway that puts what callers send on the queue OUT.
const provider = `
mq:
  instance: NAME
  BROKER
  systemType: sp
  connection:
    CONNECTION
    confirmTimeout: 5s
    sendQueue: OUT
    sendToCustomDestination: true
  syncReceiver: {replyToMode: UNIQUE, defaultReceiveQueue: REPLIES, maxProcessingTime: 20s}
grpc: {server: {serverPort: PORT}}
`
