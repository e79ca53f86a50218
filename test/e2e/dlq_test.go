package e2e

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats-server/v2/server"
	amqp "github.com/rabbitmq/amqp091-go"
	"google.golang.org/grpc/codes"

	"mqgateway/internal/flow"
	"mqgateway/internal/mq"
	"mqgateway/internal/mq/jetstream"
	"mqgateway/internal/mq/rabbitmq"
	"mqgateway/internal/secret"
	"mqgateway/test/gatewaytest"
	"mqgateway/test/ports"
	"mqgateway/test/rabbittest"
)

// site is a gateway's configuration, and a connection to its broker.
type site struct {
	config  string
	service *gatewaytest.Service
	quorum  bool
	// connect is called when the gateway runs.
	connect func(t *testing.T) brokerOfSite
}

// brokerOfSite is what the drivers can do.
type brokerOfSite interface {
	mq.Broker
	mq.Declarer
	mq.Admin
}

// inEachBroker runs a test with each kind of dead letter queue.
func inEachBroker(t *testing.T, test func(t *testing.T, s site)) {
	t.Helper()
	for name, make := range map[string]func(t *testing.T) site{
		"classic":  func(t *testing.T) site { return rabbitSite(t, "classic") },
		"quorum":   func(t *testing.T) site { return rabbitSite(t, "true") },
		"embedded": embeddedSite,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, make(t))
		})
	}
}

const siteRoutes = `
    receiveQueue: [IN]
  failure: {declare: %q}
grpc: {client: {settings: {default: {hostname: 127.0.0.1, port: %s}}}}
routing: {routeList: [{destinationExpression: "'orders'"}]}
`

func rabbitSite(t *testing.T, declare string) site {
	vhost, service := rabbittest.Shared(t).VHost(t), gatewaytest.Serve(t, "")
	config := fmt.Sprintf(`
mq:
  workMode: async
  instance: gateway-1
  connection:
    declareQueues: classic
    connections: [{uri: %q, queueManager: QM1}]`+siteRoutes, vhost.URI(), declare, service.Port())
	return site{config, service, declare != "classic", func(t *testing.T) brokerOfSite { return rabbitBroker(t, vhost) }}
}

func rabbitBroker(t *testing.T, vhost *rabbittest.VHost) brokerOfSite {
	t.Helper()
	broker, err := rabbitmq.Open(rabbitmq.Config{
		Manager: "QM1", Instance: "test", Addresses: []mq.ConnectionConfig{{URI: secret.URI(vhost.URI())}},
	})
	return closing(t, broker, err)
}

func embeddedSite(t *testing.T) site {
	service, directory, port := gatewaytest.Serve(t, ""), filepath.Join(t.TempDir(), "data"), ports.Free()
	config := fmt.Sprintf(`
mq:
  provider: embedded
  workMode: async
  instance: gateway-1
  embedded: {directory: %q, listen: "%d", sync: 1s}
  connection:`+siteRoutes, directory, port, "true", service.Port())
	return site{config, service, false, func(t *testing.T) brokerOfSite {
		connection, err := jetstream.EmbeddedConfig{Directory: directory, Listen: strconv.Itoa(port)}.Connection()
		if err != nil {
			t.Fatal(err)
		}
		broker, err := jetstream.Open(jetstream.Config{Manager: "embedded", Addresses: []mq.ConnectionConfig{connection}})
		return closing(t, broker, err)
	}}
}

// natsSite has a NATS server of somebody else.
func natsSite(t *testing.T) site {
	service := gatewaytest.Serve(t, "")
	nats, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: t.TempDir(), NoLog: true, NoSigs: true, Username: "u", Password: "p",
	})
	if err != nil {
		t.Fatal(err)
	}
	nats.Start()
	t.Cleanup(func() { nats.Shutdown(); nats.WaitForShutdown() })
	if !nats.ReadyForConnections(time.Minute) {
		t.Fatal("the NATS server is not ready")
	}
	uri := "nats://u:p@" + nats.Addr().String()
	config := fmt.Sprintf(`
mq:
  provider: nats
  workMode: async
  instance: gateway-1
  connection:
    declareQueues: quorum
    connections: [{uri: %q, queueManager: QM1}]`+siteRoutes, uri, "true", service.Port())
	return site{config, service, false, func(t *testing.T) brokerOfSite {
		broker, err := jetstream.Open(jetstream.Config{Manager: "QM1", Addresses: []mq.ConnectionConfig{{URI: secret.URI(uri)}}})
		return closing(t, broker, err)
	}}
}

func closing(t *testing.T, broker brokerOfSite, err error) brokerOfSite {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = broker.Close() })
	return broker
}

// publish sends messages to a queue, many at once; few keep their order.
func publish(t *testing.T, broker mq.Broker, queue string, messages ...flow.Message) {
	t.Helper()
	var group sync.WaitGroup
	limit := make(chan struct{}, 1000) // in flight
	for i := range messages {
		limit <- struct{}{}
		group.Go(func() {
			defer func() { <-limit }()
			if err := broker.Publish(t.Context(), flow.Address{Key: queue}, &messages[i]); err != nil {
				t.Error(err)
			}
		})
		if len(messages) < 10 {
			group.Wait()
		}
	}
	group.Wait()
}

// listed is a line of dlq list --json.
type listed struct {
	Manager, DeadLetterQueue, FailedAt, Name, Route, SourceQueue, ID, Reason, Instance string
	Code, Attempts, Size                                                               int
}

func (s site) list(t *testing.T, args ...string) (letters []listed) {
	t.Helper()
	r := gatewaytest.Run(t, s.config, append([]string{"dlq", "list", "--json", "--limit", "0"}, args...)...)
	if r.Code != 0 {
		t.Fatalf("list ended with %d: %s", r.Code, r.Stderr)
	}
	for line := range strings.Lines(r.Stdout) {
		var l listed
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatalf("line %q: %v", line, err)
		}
		letters = append(letters, l)
	}
	return letters
}

func idsOf(letters []listed) (ids []string) {
	for _, l := range letters {
		ids = append(ids, l.ID)
	}
	return ids
}

// waitLetters waits until a queue has n letters that nobody has in hand.
func waitLetters(t *testing.T, broker mq.Admin, queue string, n int) {
	t.Helper()
	gatewaytest.Eventually(t, func() error {
		info, err := broker.Inspect(t.Context(), queue)
		if err == nil && info.Messages != n {
			err = fmt.Errorf("%d messages in %q, want %d", info.Messages, queue, n)
		}
		return err
	})
}

// order is a message that a test finds again.
func order(id string) flow.Message {
	return flow.Message{
		ID: id, CorrelID: "c-" + id, Body: []byte("<Order id='" + id + "'/>"), Persistence: flow.Persistent,
		Headers: []flow.Header{{Name: "amount", Value: int32(7)}, {Name: "text", Value: "да"}},
	}
}

// failed starts the gateway with a service that refuses, and waits for the dead
// letters of orders.
func (s site) failed(t *testing.T, ids ...string) (*gatewaytest.Gateway, brokerOfSite) {
	t.Helper()
	s.service.Set(codes.InvalidArgument, nil)
	g := gatewaytest.Start(t, s.config)
	g.WaitMetric(t, `gateway_queue_subscribed{manager="`+s.manager()+`",queue="IN"}`, 1)
	broker := s.connect(t)
	for i, id := range ids { // one after the other, in their order
		publish(t, broker, "IN", order(id))
		gatewaytest.Eventually(t, func() error {
			if n := len(g.Logged("message is moved to the dead letter queue")); n != i+1 {
				return fmt.Errorf("%d letters, want %d", n, i+1)
			}
			return nil
		})
	}
	if len(ids) > 0 {
		waitLetters(t, broker, "IN.DLQ", len(ids))
	}
	return g, broker
}

func (s site) manager() string {
	if strings.Contains(s.config, "embedded") {
		return "embedded"
	}
	return "QM1"
}

// run runs a dlq command that has to end with the code.
func (s site) run(t *testing.T, code int, args ...string) gatewaytest.Result {
	t.Helper()
	r := gatewaytest.Run(t, s.config, append([]string{"dlq"}, args...)...)
	if r.Code != code {
		t.Errorf("dlq %v ended with %d, want %d", args, r.Code, code)
	}
	return r
}

func TestDeadLettersAreListedShownReplayedAndPurged(t *testing.T) {
	t.Parallel()
	test := func(t *testing.T, s site) {
		_, broker := s.failed(t, "m-1", "m-2", "m-3")
		letters := s.list(t)
		if diff := cmp.Diff([]string{"m-1", "m-2", "m-3"}, idsOf(letters)); diff != "" {
			t.Fatalf("listed (-want +got):\n%s", diff)
		}
		first := letters[0]
		if first.FailedAt == "" || !strings.Contains(first.Reason, "as the test wants it") {
			t.Errorf("letter = %+v, want when and why it failed", first)
		}
		first.FailedAt, first.Reason = "", ""
		want := listed{
			Manager: s.manager(), DeadLetterQueue: "IN.DLQ", Code: 602, Name: "DESTINATION_FAILED", Route: "default",
			Attempts: 1, SourceQueue: "IN", ID: "m-1",
			Size: len(order("m-1").Body), Instance: "gateway-1",
		}
		if diff := cmp.Diff(want, first); diff != "" {
			t.Errorf("letter (-want +got):\n%s", diff)
		}

		shown := s.run(t, 0, "show", "m-2").Stdout
		for _, text := range []string{"m-2 in IN.DLQ on " + s.manager(), "602 DESTINATION_FAILED", "as the test wants it", "amount", "int32", "hidden; --raw"} {
			if !strings.Contains(shown, text) {
				t.Errorf("shown is\n%s\nwithout %q", shown, text)
			}
		}
		if body := string(order("m-2").Body); strings.Contains(shown, body) || !strings.Contains(s.run(t, 0, "show", "m-2", "--raw").Stdout, body) {
			t.Error("the body has to be shown with --raw only")
		}
		s.run(t, 1, "show", "m-4")

		s.service.Set(codes.OK, nil)
		calls := len(s.service.Calls())
		s.run(t, 0, "replay", "--code", "606")
		s.run(t, 0, "replay", "--dry-run")
		if r := s.run(t, 1, "replay"); !strings.Contains(r.Stderr, "--yes") {
			t.Errorf("without a filter and a terminal: %s, want a hint at --yes", r.Stderr)
		}
		s.run(t, 0, "replay", "--id", "m-2", "--source-queue", "IN", "--newer-than", "1h")
		got := s.service.WaitCalls(t, calls+1)[calls].Message
		if got.GetMessageId() != "m-2" || got.GetCorrelationId() != "c-m-2" || got.GetBody() != string(order("m-2").Body) {
			t.Errorf("replayed = %v, want the message as it was", got)
		}
		if diff := cmp.Diff(map[string]string{"amount": "7", "text": "да"}, got.GetUserHeaders()); diff != "" {
			t.Errorf("user headers (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]string{"m-1", "m-3"}, idsOf(s.list(t))); diff != "" {
			t.Errorf("left (-want +got):\n%s", diff)
		}

		if r := s.run(t, 1, "purge", "--id", "m-1"); !strings.Contains(r.Stderr, "--yes") {
			t.Errorf("purge without a terminal: %s, want a hint at --yes", r.Stderr)
		}
		s.run(t, 0, "purge", "--id", "m-1", "--yes")
		if diff := cmp.Diff([]string{"m-3"}, idsOf(s.list(t))); diff != "" {
			t.Errorf("left after the purge (-want +got):\n%s", diff)
		}
		s.run(t, 0, "replay", "--yes")
		s.service.WaitCalls(t, calls+2)
		waitLetters(t, broker, "IN.DLQ", 0)
		if got := len(s.service.Calls()); got != calls+2 {
			t.Errorf("%d calls, want %d", got, calls+2)
		}

		publish(t, broker, "IN.DLQ", letter("a", "IN"), letter("b", "IN"))
		s.run(t, 0, "purge", "--yes")
		if left := s.list(t); len(left) != 0 {
			t.Errorf("left = %v, want none", left)
		}
	}
	inEachBroker(t, test)
	t.Run("nats", func(t *testing.T) {
		t.Parallel()
		test(t, natsSite(t))
	})
}

// Dead letters lie on the manager that their messages came from, and go back there.
func TestDeadLettersOfSeveralManagers(t *testing.T) {
	t.Parallel()
	one, two, service := rabbittest.Shared(t).VHost(t), rabbittest.Shared(t).VHost(t), gatewaytest.Serve(t, "")
	s := site{service: service, config: fmt.Sprintf(`
mq:
  workMode: async
  instance: gateway-1
  connection:
    declareQueues: classic
    connections: [{uri: %q, queueManager: QM1}, {uri: %q, queueManager: QM2}, {uri: "amqp://127.0.0.1:1/", queueManager: AWAY}]`+siteRoutes,
		one.URI(), two.URI(), "classic", service.Port())}
	service.Set(codes.InvalidArgument, nil)
	g := gatewaytest.Start(t, s.config)
	for i, vhost := range []*rabbittest.VHost{one, two, two} {
		g.WaitMetric(t, fmt.Sprintf(`gateway_queue_subscribed{manager="QM%d",queue="IN"}`, min(i+1, 2)), 1)
		publish(t, rabbitBroker(t, vhost), "IN", order("m-"+strconv.Itoa(i+1)))
	}
	waitLetters(t, rabbitBroker(t, one), "IN.DLQ", 1)
	waitLetters(t, rabbitBroker(t, two), "IN.DLQ", 2)

	r := s.run(t, 1, "list")
	for _, text := range []string{"QM1", "m-1", "QM2", "m-2", "m-3"} {
		if !strings.Contains(r.Stdout, text) {
			t.Errorf("listed is\n%s\nwithout %q", r.Stdout, text)
		}
	}
	if !strings.Contains(r.Stderr, "looking up IN.DLQ on AWAY: ") {
		t.Errorf("list says\n%s\nand not that a manager is away", r.Stderr)
	}
	if r := s.run(t, 1, "replay", "--yes", "--manager", "QM3"); !strings.Contains(r.Stderr, "QM1, QM2, AWAY") {
		t.Errorf("an unknown manager: %s, want those there are", r.Stderr)
	}

	service.Set(codes.OK, nil)
	s.run(t, 0, "replay", "--yes", "--manager", "QM2", "--to", "IN")
	for _, c := range service.WaitCalls(t, 5)[3:] {
		if id := c.Message.GetMessageId(); id != "m-2" && id != "m-3" {
			t.Errorf("replayed = %q, want those of QM2", id)
		}
	}
	if got := s.list(t, "--manager", "QM1"); len(got) != 1 || got[0].ID != "m-1" || got[0].Manager != "QM1" {
		t.Errorf("left = %+v, want that of QM1", got)
	}
	s.run(t, 1, "purge", "--yes", "--id", "m-1") // one manager is away
	if got := s.list(t, "--manager", "QM1"); len(got) != 0 {
		t.Errorf("left = %+v, want none", got)
	}
}

// letter is a dead letter as a gateway writes it.
func letter(id, queue string) flow.Message {
	m := order(id)
	for name, value := range map[string]string{
		"x-gateway-error-code": "602", "x-gateway-error": "calling orders", "x-gateway-source-queue": queue,
		"x-gateway-failed-at": "2026-01-02T03:04:05Z",
	} {
		m.Headers = append(m.Headers, flow.Header{Name: name, Value: value})
	}
	return m
}

func TestReplayTakesEachLetterOnce(t *testing.T) {
	t.Parallel()
	inEachBroker(t, func(t *testing.T, s site) {
		_, broker := s.failed(t, "m-1", "m-2", "m-3")
		r := s.run(t, 0, "replay", "--yes")
		if !strings.Contains(r.Stdout, "3 letters replayed, 0 failed") {
			t.Errorf("replay of a service that still fails says %s", r.Stdout)
		}
		s.service.WaitCalls(t, 6)
		waitLetters(t, broker, "IN.DLQ", 3)
	})
}

func TestLettersThatCannotBePublishedStay(t *testing.T) {
	t.Parallel()
	inEachBroker(t, func(t *testing.T, s site) {
		_, broker := s.failed(t, "m-0")
		s.service.Set(codes.OK, nil)
		nowhere := order("nowhere")
		publish(t, broker, "IN.DLQ", letter("gone", "GONE"), letter("good", "IN"), nowhere)
		r := s.run(t, 1, "replay", "--yes")
		for _, text := range []string{"gone: not replayed", "nowhere: not replayed", "--to"} {
			if !strings.Contains(r.Stderr, text) {
				t.Errorf("replay says\n%s\nwithout %q", r.Stderr, text)
			}
		}
		if diff := cmp.Diff([]string{"gone", "nowhere"}, idsOf(s.list(t))); diff != "" {
			t.Errorf("left (-want +got):\n%s", diff)
		}
		s.run(t, 0, "replay", "--yes", "--to", "IN")
		s.service.WaitCalls(t, 5) // m-0 twice
		waitLetters(t, broker, "IN.DLQ", 0)
	})
}

func TestOnlyTheLastOfManyLettersIsReplayed(t *testing.T) {
	t.Parallel()
	const many = 2500 // more than one reader may hold
	inEachBroker(t, func(t *testing.T, s site) {
		_, broker := s.failed(t, "m-0")
		s.service.Set(codes.OK, nil)
		letters := make([]flow.Message, many)
		for i := range letters {
			letters[i] = letter("other-"+strconv.Itoa(i), "IN")
		}
		publish(t, broker, "IN.DLQ", letters...)
		last := letter("last", "IN")
		publish(t, broker, "IN.DLQ", last)
		before := idsOf(s.list(t))
		if len(before) != many+2 || before[0] != "m-0" || before[many+1] != "last" {
			t.Fatalf("%d letters are listed, want %d in their order", len(before), many+2)
		}
		s.run(t, 0, "replay", "--id", "last")
		if got := s.service.WaitCalls(t, 2)[1].Message.GetMessageId(); got != "last" {
			t.Errorf("replayed = %q, want the last one", got)
		}
		after := idsOf(s.list(t))
		if len(after) != many+1 {
			t.Fatalf("%d letters afterwards, want %d", len(after), many+1)
		}
		if s.quorum { // returned messages come in no certain order
			slices.Sort(after)
			slices.Sort(before)
			before = slices.DeleteFunc(before, func(id string) bool { return id == "last" })
		}
		for i := range after {
			if after[i] != before[i] {
				t.Fatalf("letter %d is %s afterwards, was %s", i, after[i], before[i])
			}
		}
	})
}

// TestAReplayMayEndAtAnyMoment stops the command while it replays: a signal that it
// can hear leaves everything at one place or the other, being killed may repeat
// what was in flight.
func TestAReplayMayEndAtAnyMoment(t *testing.T) {
	t.Parallel()
	const many = 1500
	for _, tt := range []struct {
		signal  syscall.Signal
		repeats int
	}{{syscall.SIGTERM, 0}, {syscall.SIGKILL, 1}} {
		t.Run(tt.signal.String(), func(t *testing.T) {
			inEachBroker(t, func(t *testing.T, s site) {
				_, broker := s.failed(t)
				if err := broker.Declare(t.Context(), mq.Queue{Name: "IN.DLQ", Kind: mq.Quorum}); err != nil {
					t.Fatal(err)
				}
				letters := make([]flow.Message, many)
				for i := range letters {
					letters[i] = letter(strconv.Itoa(i), "IN")
				}
				again := s.interrupt(t, broker, tt.signal, letters)
				seen := map[string]int{}
				gatewaytest.Eventually(t, func() error { // unsettled letters of a killed process come back later
					clear(seen)
					for _, id := range append(idsOf(s.list(t)), idsOf(s.list(t, "--queue", again))...) {
						seen[id]++
					}
					if len(seen) < many {
						return fmt.Errorf("%d of %d messages are there", len(seen), many)
					}
					return nil
				})
				repeated := -many
				for _, n := range seen {
					repeated += n
				}
				if repeated > tt.repeats {
					t.Errorf("%d messages are there twice, want %d at most", repeated, tt.repeats)
				}
			})
		})
	}
}

// interrupt sends a signal to a command that replays letters, when it is at work, and
// returns the queue that it replayed them to. On a busy machine the command may be done
// by then: it gets the letters again.
func (s site) interrupt(t *testing.T, broker brokerOfSite, signal syscall.Signal, letters []flow.Message) (to string) {
	t.Helper()
	for try := 1; ; try++ {
		to = fmt.Sprint("AGAIN", try)
		if err := broker.Declare(t.Context(), mq.Queue{Name: to, Kind: mq.Classic}); err != nil {
			t.Fatal(err)
		}
		publish(t, broker, "IN.DLQ", letters...)
		command := gatewaytest.Command(t, s.config, "dlq", "replay", "--yes", "--to", to)
		command.Start(t)
		gatewaytest.Eventually(t, func() error {
			info, err := broker.Inspect(t.Context(), to)
			if err == nil && info.Messages < len(letters)/10 {
				err = fmt.Errorf("%d are replayed", info.Messages)
			}
			return err
		})
		command.Signal(signal)
		if r := command.Wait(t); r.Code != 0 {
			return to
		}
	}
}

func TestLettersOfTheBrokersOwnDeadLettering(t *testing.T) {
	t.Parallel()
	vhost, service := rabbittest.Shared(t).VHost(t), gatewaytest.Serve(t, "")
	p := newPartner(t, vhost, "IN", "IN.DLQ")
	vhost.SetPolicy(t, "dlx", "^IN$", `{"dead-letter-exchange":"","dead-letter-routing-key":"IN.DLQ"}`)
	p.put("IN", amqp.Publishing{
		MessageId: "m-1", Expiration: "600000", UserId: "guest", Headers: amqp.Table{"n": int32(7)}, Body: []byte("<Order/>"),
	})
	d := p.takeUnsettled("IN")
	if err := d.Reject(false); err != nil {
		t.Fatal(err)
	}
	gatewaytest.Eventually(t, func() error {
		if n := vhost.Messages(t, "IN.DLQ"); n != 1 {
			return fmt.Errorf("%d letters", n)
		}
		return nil
	})
	s := site{config: consumer(vhost, service)}
	got := s.list(t)
	if len(got) != 1 || got[0].ID != "m-1" || got[0].Code != 0 || got[0].Reason != "rejected" || got[0].SourceQueue != "IN" || got[0].FailedAt == "" {
		t.Fatalf("listed = %+v, want what RabbitMQ tells", got)
	}
	s.run(t, 0, "replay", "--source-queue", "IN")
	back := p.take("IN")
	if back.MessageId != "m-1" || back.Expiration != "600000" || string(back.Body) != "<Order/>" {
		t.Errorf("replayed = %+v, want the message as it was sent", back)
	}
	if diff := cmp.Diff(amqp.Table{"n": int32(7)}, back.Headers); diff != "" {
		t.Errorf("headers (-want +got):\n%s", diff)
	}
}

// takeUnsettled waits for a message of a queue.
func (p *partner) takeUnsettled(queue string) amqp.Delivery {
	p.t.Helper()
	var taken amqp.Delivery
	gatewaytest.Eventually(p.t, func() error {
		d, ok, err := p.channel.Get(queue, false)
		if err == nil && !ok {
			err = fmt.Errorf("nothing in %q", queue)
		}
		taken = d
		return err
	})
	return taken
}

func TestDeadLettersOfAnEmbeddedBroker(t *testing.T) {
	t.Parallel()
	s := embeddedSite(t)
	r := s.run(t, 1, "list")
	if !strings.Contains(r.Stderr, "mq.embedded.directory") {
		t.Errorf("before the first start: %s, want a hint at the directory", r.Stderr)
	}
	g, _ := s.failed(t, "m-1")
	silent := site{config: strings.Replace(s.config, "listen:", "token:", 1)}
	r = silent.run(t, 1, "list")
	for _, text := range []string{"running gateway", "set mq.embedded.listen", "or stop it"} {
		if !strings.Contains(r.Stderr, text) {
			t.Errorf("beside a gateway that does not listen: %s, want %q", r.Stderr, text)
		}
	}
	g.Stop(t)
	for _, each := range []site{s, silent} {
		if diff := cmp.Diff([]string{"m-1"}, idsOf(each.list(t))); diff != "" {
			t.Errorf("listed without a gateway (-want +got):\n%s", diff)
		}
	}
}
