package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"time"

	"google.golang.org/grpc/status"

	"mqgateway/api/proto/gateway"
	"mqgateway/internal/flow"
)

// stepPatience is how long a step of the demo may take before it is given up.
const stepPatience = 20 * time.Second

// story tells the messages of the demo, one a line, as the gateways handle them.
type story struct {
	out      io.Writer
	observed chan observation
	number   int
}

// observation is what came of a message in a gateway.
type observation struct {
	message flow.Message
	err     error
	took    time.Duration
}

func newStory(out io.Writer) *story {
	return &story{out: out, observed: make(chan observation, 16)}
}

// observe stands outside of everything in every flow and notes what came of a
// message.
func (s *story) observe(next flow.Handler) flow.Handler {
	return func(ctx context.Context, in *flow.Message) (*flow.Message, error) {
		start := time.Now()
		reply, err := next(ctx, in)
		select {
		case s.observed <- observation{*in, err, time.Since(start)}:
		default: // a message that somebody sent after the story was told
		}
		return reply, err
	}
}

func (s *story) begin(consumer, provider addresses) {
	s.say("MQ Gateway demo. One process holds the embedded broker, two gateways, a sample microservice and a sample partner.\n")
	const columns = "  %-18s %-54s gRPC %-16s HTTP %s"
	s.say(columns, "consumer gateway", "reads "+ordersIn+" and "+balanceIn+", calls microservices", local(consumer.GRPC), local(consumer.HTTP))
	s.say(columns+"\n", "provider gateway", "is called by microservices, writes to "+partnerIn, local(provider.GRPC), local(provider.HTTP))
}

// inbound is a message that the partner sends.
type inbound struct {
	queue, label, id string
	headers          []flow.Header
	body             string
}

// inboundMessages show the rules of the consumer gateway, and what becomes of a
// message that no rule is for. The last one is an answer to a microservice's
// message, and goes through the provider gateway.
var inboundMessages = []inbound{
	{ordersIn, "XML  <GetCardRq>", "demo-1", nil, `<GetCardRq><SystemID>CRM</SystemID><Card>5</Card></GetCardRq>`},
	{ordersIn, "JSON GetCardRq", "demo-2", nil, `{"operation":"GetCardRq","head":{"systemId":"MOBILE"},"card":5}`},
	{ordersIn, "XML  <GetClientRq>", "demo-3", nil, `<?xml version="1.0"?><GetClientRq><SystemID>CRM</SystemID></GetClientRq>`},
	{ordersIn, "JSON BlockCardRq", "demo-4", nil, `{"operation":"BlockCardRq","card":5}`},
	{
		ordersIn, "XML  <Envelope>", "demo-5",
		[]flow.Header{{Name: "OperationName", Value: "TransferRq"}, {Name: "System", Value: "ATM"}},
		`<Envelope><Amount>10.50</Amount></Envelope>`,
	},
	{ordersIn, "XML  <GetCardRq>", "demo-6", nil, `<GetCardRq><!-- no SystemID --></GetCardRq>`},
	{partnerOut, "JSON OrderRs", "demo-7", nil, `{"operation":"OrderRs","status":"accepted"}`},
}

// outbound is a message that a microservice sends.
type outbound struct {
	queue, label, id string
	headers          map[string]string
	body             string
}

var outboundMessages = []outbound{
	{"", "XML  <OrderRq>", "demo-8", nil, `<OrderRq><Item>tea</Item></OrderRq>`},
	{"", "JSON OrderRq", "demo-9", map[string]string{"Priority": "4", "Expiry": "60000"}, `{"operation":"OrderRq","item":"tea"}`},
	{partnerUrgent, "JSON OrderRq", "demo-10", nil, `{"operation":"OrderRq","item":"tea","urgent":true}`},
	{"PARTNER.MISSING", "XML  <OrderRq>", "demo-11", nil, `<OrderRq><Item>tea</Item></OrderRq>`},
}

// tell sends the messages, one after the other, and says what came of each.
func (s *story) tell(ctx context.Context, partner *demoPartner, service *demoService, provider string) error {
	s.say("From a queue to the microservice that the rules name:")
	for _, m := range inboundMessages {
		message := flow.Message{ID: m.id, Headers: m.headers, Body: []byte(m.body)}
		if err := partner.put(ctx, m.queue, &message); err != nil {
			return fmt.Errorf("putting a message on %s: %w", m.queue, err)
		}
		o, err := s.wait(ctx, m.id)
		if err != nil {
			return err
		}
		s.line(m.label, inboundOutcome(o))
	}
	s.say("\nFrom a microservice to a queue:")
	for _, m := range outboundMessages {
		message := &gateway.ProtoMessage{MessageId: m.id, SystemHeaders: m.headers, Body: m.body}
		refused := service.send(ctx, provider, m.queue, message)
		o, err := s.wait(ctx, m.id)
		if err != nil {
			return err
		}
		s.line(m.label, outboundOutcome(o, refused))
	}
	if err := s.tellRequests(ctx, partner, service, provider); err != nil {
		return err
	}
	return s.check(ctx, partner, service)
}

// tellRequests shows a request in each direction, and its reply.
func (s *story) tellRequests(ctx context.Context, partner *demoPartner, service *demoService, provider string) error {
	s.say("\nRequest and reply:")
	request := flow.Message{ID: "demo-12", ReplyTo: balanceOut, Body: []byte(`<GetBalanceRq><SystemID>CRM</SystemID></GetBalanceRq>`)}
	if err := partner.put(ctx, balanceIn, &request); err != nil {
		return fmt.Errorf("putting a message on %s: %w", balanceIn, err)
	}
	o, err := s.wait(ctx, request.ID)
	if err != nil {
		return err
	}
	if o.err != nil {
		return fmt.Errorf("answering a request on %s: %w", balanceIn, o.err)
	}
	body, err := s.waitAnswer(ctx, partner, request.ID)
	if err != nil {
		return err
	}
	s.line("XML  <GetBalanceRq>", fmt.Sprintf("%-11s  route %-9s -> %-22s answered to %s (%s): %s",
		balanceIn, o.message.Route.Name, o.message.Route.Destination, balanceOut, milliseconds(o.took), body))

	body, err = service.ask(ctx, provider, &gateway.ProtoMessage{MessageId: "demo-13", Body: `{"operation":"PriceRq","item":"tea"}`})
	if err != nil {
		return fmt.Errorf("asking the partner through the provider gateway: %w", err)
	}
	if o, err = s.wait(ctx, "demo-13"); err != nil {
		return err
	}
	s.line("JSON PriceRq", fmt.Sprintf("-> queue %-22s answered by the partner (%s): %s", o.message.To, milliseconds(o.took), body))
	return nil
}

// waitAnswer waits until the partner has read the reply to its request.
func (s *story) waitAnswer(ctx context.Context, partner *demoPartner, id string) (string, error) {
	for end := time.Now().Add(stepPatience); time.Now().Before(end) && ctx.Err() == nil; wait(ctx, time.Millisecond) {
		if body, ok := partner.answer(id); ok {
			return body, nil
		}
	}
	return "", fmt.Errorf("no reply to request %q within %v", id, stepPatience)
}

// wait returns what came of a message.
func (s *story) wait(ctx context.Context, id string) (observation, error) {
	timeout := time.NewTimer(stepPatience)
	defer timeout.Stop()
	for {
		select {
		case o := <-s.observed:
			if o.message.ID == id {
				return o, nil
			}
		case <-timeout.C:
			return observation{}, fmt.Errorf("message %q did not come through within %v", id, stepPatience)
		case <-ctx.Done():
			return observation{}, context.Cause(ctx)
		}
	}
}

// line says one message: its number, what it is and what came of it.
func (s *story) line(label, outcome string) {
	s.number++
	s.say("%3d  %-20s %s", s.number, label, outcome)
}

// inboundOutcome says where the rules sent a message.
func inboundOutcome(o observation) string {
	queue, route := o.message.Source.Queue, "route "+o.message.Route.Name
	if o.err != nil {
		return fmt.Sprintf("%-11s  %-15s -> %-22s dead letter: %s\n%25s%s",
			queue, route, queue+".DLQ", codeText(flow.CodeOf(o.err)), "", o.err)
	}
	return fmt.Sprintf("%-11s  %-15s -> %-22s delivered, acknowledged (%s)",
		queue, route, o.message.Route.Destination, milliseconds(o.took))
}

// outboundOutcome says what the broker and the caller were told.
func outboundOutcome(o observation, refused error) string {
	if refused != nil {
		return fmt.Sprintf("-> queue %-22s refused to its caller: %s, %s", o.message.To, status.Code(refused), codeText(flow.CodeOf(o.err)))
	}
	return fmt.Sprintf("-> queue %-22s confirmed by the broker (%s)", o.message.To, milliseconds(o.took))
}

func codeText(c flow.Code) string { return fmt.Sprintf("%d %s", int(c), c.Name()) }

func milliseconds(d time.Duration) string {
	return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000)
}

// check waits until the service and the partner have seen what the gateways
// delivered, and says so.
func (s *story) check(ctx context.Context, partner *demoPartner, service *demoService) error {
	const wantCalls, wantRead = 7, 5
	end := time.Now().Add(stepPatience)
	for {
		calls, authorities := service.called()
		read := partner.received()
		if calls >= wantCalls && read >= wantRead {
			s.say("\nThe microservice was called %d times under %d names over one connection; the partner read %d messages.", calls, authorities, read)
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("the microservice was called %d times, want %d; the partner read %d messages, want %d", calls, wantCalls, read, wantRead)
		}
		wait(ctx, 10*time.Millisecond)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
}

// invite says what can be tried while the demo runs.
func (s *story) invite(consumer, provider addresses) {
	s.say("\nEverything still runs. Look around:")
	s.say("  curl http://%s/actuator/health", local(consumer.HTTP))
	s.say("  curl -s http://%s/metrics | grep ^gateway_", local(consumer.HTTP))
	s.say("  grpcurl -plaintext -d '{\"body\":\"<OrderRq/>\"}' %s com.sbt.synapse.gateway.MessageAsyncChannel/processMessage", local(provider.GRPC))
	s.say("\nCtrl-C ends the demo.")
}

func (s *story) end() { s.say("\nStopping: what is in work is finished, the rest stays in its queue.") }

func (s *story) say(format string, args ...any) {
	_, _ = fmt.Fprintf(s.out, format+"\n", args...)
}

// local is the address that a program on this machine uses.
func local(address string) string {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	return net.JoinHostPort("127.0.0.1", port)
}
