package faults

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/anypb"

	pb "mqgateway/api/proto/gateway"
	mqpb "mqgateway/api/proto/gateway/mq"
	"mqgateway/test/faults/ledger"
)

// Where poison may end.
const (
	through = "through" // it is harmless, or made so
	bad     = "606"     // refused, or a dead letter
	unsent  = "603"
	either  = "any of these"
)

// outPoison is what microservices do wrong, in calls and in answers.
type outPoison struct {
	name string
	do   func(*pb.ProtoMessage)
	// call and answer are where a message ends that was sent so, or answered so.
	call, answer string
	// ends tells that the broker ends the channel for it.
	ends bool
}

var outPoisons = []outPoison{
	{"correlation id of 256 bytes", func(m *pb.ProtoMessage) { m.CorrelationId = strings.Repeat("c", 256) }, bad, bad, false},
	{"header name of 300 bytes", header(strings.Repeat("n", 300), "v"), bad, bad, false},
	{"headers of 70 KiB", func(m *pb.ProtoMessage) {
		m.UserHeaders = map[string]string{}
		for i := range 70 {
			m.UserHeaders[fmt.Sprint("h", i)] = strings.Repeat("v", 1<<10)
		}
	}, bad, bad, false},
	{"body over the broker's limit", func(m *pb.ProtoMessage) { m.Body += strings.Repeat(" ", maxMessageSize) }, bad, bad, true},
	{"expiry 1.5", system("Expiry", "1.5"), bad, through, false}, // that of an answer is an echo
	{"expiry -1", system("Expiry", "-1"), either, through, false},
	{"foreign user id", system("UserIdentifier", "somebody"), through, through, false},
	{"missing exchange", func(m *pb.ProtoMessage) {
		m.Extension, _ = anypb.New(&mqpb.MqMessageInformation{DestinationQueue: "exchange:none/key"})
	}, unsent, unsent, true},
	{"CC", header("CC", queueCopies), either, either, false},
	{"BCC", header("BCC", queueCopies), either, either, false},
}

func header(name, value string) func(*pb.ProtoMessage) {
	return func(m *pb.ProtoMessage) { m.UserHeaders = map[string]string{name: value} }
}

func system(name, value string) func(*pb.ProtoMessage) {
	return func(m *pb.ProtoMessage) { m.SystemHeaders = map[string]string{name: value} }
}

// inPoison is what programs on the broker do wrong, as far as the broker lets them.
type inPoison struct {
	name string
	do   func(*amqp.Publishing)
	ends string
}

var inPoisons = []inPoison{
	{"correlation id of 255 bytes", func(m *amqp.Publishing) { m.CorrelationId = strings.Repeat("c", 255) }, through},
	{"headers of 70 KiB", func(m *amqp.Publishing) { m.Headers = amqp.Table{"large": strings.Repeat("v", 70<<10)} }, through},
	{"unsigned 32-bit header", func(m *amqp.Publishing) { m.Headers = amqp.Table{"U32": int32(-1)} }, through},
	{"deep header", func(m *amqp.Publishing) { m.Headers = amqp.Table{"deep": nested(200)} }, through},
	{"CC", func(m *amqp.Publishing) { m.Headers = amqp.Table{"CC": []any{queueCopies}} }, through},
	{"CC of a dead letter", func(m *amqp.Publishing) {
		m.Headers = amqp.Table{"CC": []any{queueCopies}}
		m.Body = append(m.Body, 0xff)
	}, bad},
	{"body that is no text", func(m *amqp.Publishing) { m.Body = append(m.Body, 0xff) }, bad},
	{"body over the limit", func(m *amqp.Publishing) { m.Body = append(m.Body, bytes.Repeat([]byte(" "), 200<<10)...) }, bad},
	{"correlation id that is no text", func(m *amqp.Publishing) { m.CorrelationId = "\xff\xfe" }, either},
	{"header that is no text", func(m *amqp.Publishing) { m.Headers = amqp.Table{"h": "\xff\xfe"} }, either},
}

func nested(depth int) any {
	if depth == 0 {
		return "bottom"
	}
	return []any{nested(depth - 1)}
}

// unsigned is a connection on which a signed header called U32 becomes unsigned, which
// the library does not write.
type unsigned struct{ net.Conn }

func (u unsigned) Write(p []byte) (int, error) {
	if _, err := u.Conn.Write(bytes.ReplaceAll(p, []byte("\x03U32I"), []byte("\x03U32i"))); err != nil {
		return 0, err
	}
	return len(p), nil
}

// poisoned is a message that was sent and is looked for at the end.
type poisoned struct{ flow, kind, id, want string }

// poisonAmongGood sends one of each kind of poison to each 1,000 good messages.
func poisonAmongGood(t *testing.T, b broker) []row {
	w := newWorld(t, b, plan{
		messages: sized(100_000), rate: float64(*rate), shares: all, heartbeat: heartbeat, deadLetters: true,
	})
	w.rabbit.declare(t, queueCopies)
	w.service.answer = poisonedAnswer
	before := countClosed(t, w)
	w.send()
	p := poisoner{w: w, peer: &amqpPeer{uri: w.rabbit.uri, wire: func(c net.Conn) net.Conn { return unsigned{c} }}}
	defer p.peer.close()
	copies := 0
	for round := 1; round*1000 <= w.plan.messages && w.awaitSent(round*1000); round++ {
		p.all(w.ctx)
		copies += 4 // two kinds, in two queues
	}
	rows := w.finish()
	p.check(t)
	if w.copies != copies {
		t.Errorf("%d messages followed CC, want the %d that the broker sent itself", w.copies, copies)
	}
	t.Logf("channels closed by the broker: %d", countClosed(t, w)-before)
	for _, r := range w.replicas() {
		for _, text := range []string{"reading the queue was interrupted", "manager is down"} {
			if n := r.told(text); n > 0 {
				t.Errorf("%s has told %d times %q: poison ended a connection that others share", r.name, n, text)
			}
		}
	}
	return rows
}

// poisonedAnswer makes the answer that a request asks for.
func poisonedAnswer(in *pb.ProtoMessage) *pb.ProtoMessage {
	answer := echo(in)
	var kind int
	if n, _ := fmt.Sscanf(in.GetBody(), "<Poison%d", &kind); n == 1 {
		outPoisons[kind].do(answer)
	}
	return answer
}

// poisoner sends poison and remembers it.
type poisoner struct {
	w    *world
	peer *amqpPeer
	sent []poisoned
}

func (p *poisoner) all(ctx context.Context) {
	for _, kind := range inPoisons {
		p.put(ctx, inAsync, queueIn, "", kind)
		p.put(ctx, inSync, queueAsk, queueAnswers, kind)
	}
	for i, kind := range outPoisons {
		p.ask(ctx, i, kind)
		p.call(ctx, outAsync, kind)
		p.call(ctx, outSync, kind)
	}
}

// put sends a poisoned message of the external system.
func (p *poisoner) put(ctx context.Context, flow, queue, replyTo string, kind inPoison) {
	id := p.w.books[flow].Next()
	m := amqp.Publishing{MessageId: id, ReplyTo: replyTo, Body: []byte(order(id))}
	kind.do(&m)
	p.accepted(flow, id, p.peer.publish(ctx, queue, m))
	p.sent = append(p.sent, poisoned{flow, kind.name, id, kind.ends})
}

// ask sends a request whose answer will be poisoned.
func (p *poisoner) ask(ctx context.Context, number int, kind outPoison) {
	defer p.mayEnd(kind)()
	id := p.w.books[inSync].Next()
	l := letter{id: id, replyTo: queueAnswers, body: document(fmt.Sprint("Poison", number), id)}
	p.accepted(inSync, id, p.peer.put(ctx, queueAsk, l))
	p.sent = append(p.sent, poisoned{inSync, "answer: " + kind.name, id, kind.answer})
	if kind.ends { // the fault lasts until the answer has been sent
		_ = p.w.await("a poisoned answer", func() bool { return p.w.books[inSync].Has(id, ledger.Delivered) })
		p.w.rest(200 * time.Millisecond)
	}
}

func (p *poisoner) accepted(flow, id string, err error) {
	p.w.books[flow].Try(id)
	if err != nil {
		p.w.books[flow].Complain("poison %q was not taken by the broker: %v", id, err)
		p.w.books[flow].Refuse(id, err.Error())
		return
	}
	p.w.books[flow].Accept(id)
}

// mayEnd writes down that the broker ends a channel, when it does.
func (p *poisoner) mayEnd(kind outPoison) (over func()) {
	if !kind.ends {
		return func() {}
	}
	return p.w.faults.Begin(kind.name)
}

// call sends a poisoned message of a microservice.
func (p *poisoner) call(ctx context.Context, flow string, kind outPoison) {
	defer p.mayEnd(kind)()
	book := p.w.books[flow]
	id := book.Next()
	m := &pb.ProtoMessage{MessageId: id, Body: order(id)}
	kind.do(m)
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	conn := p.w.callers.next()
	book.Try(id)
	err := p.invoke(ctx, conn, flow, id, m)
	if err == nil {
		book.Accept(id)
	} else {
		book.Refuse(id, err.Error())
	}
	if got := codeOf(err); kind.call != either && got != kind.call {
		book.Complain("%s: call %q ended with %s, %v; want %s", kind.name, id, got, err, kind.call)
	}
	p.sent = append(p.sent, poisoned{flow, kind.name, id, either})
}

func (p *poisoner) invoke(ctx context.Context, conn *grpc.ClientConn, flow, id string, m *pb.ProtoMessage) error {
	if flow == outAsync {
		_, err := pb.NewMessageAsyncChannelClient(conn).ProcessMessage(ctx, m)
		return err
	}
	reply, err := pb.NewMessageSyncChannelClient(conn).ProcessMessage(ctx, m)
	if err == nil {
		p.w.books[flow].Meet(id, ledger.Answered, reply.GetMessageId())
	}
	return err
}

// codeOf is the gateway's code of a failed call.
func codeOf(err error) string {
	if err == nil {
		return through
	}
	for _, d := range status.Convert(err).Details() {
		if info, ok := d.(*errdetails.ErrorInfo); ok {
			return info.GetMetadata()["code"]
		}
	}
	return "no code"
}

// check holds that the poison ended where it has to.
func (p *poisoner) check(t *testing.T) {
	t.Helper()
	ends := map[string]ledger.Place{inAsync: ledger.Delivered, inSync: ledger.Answered}
	for _, m := range p.sent {
		got, last := p.w.letters[m.id], ends[m.flow]
		if got == "" && p.w.books[m.flow].Has(m.id, last) {
			got = through
		}
		if m.want != either && got != m.want {
			t.Errorf("%s: %s: %q ended as %q, want %q", m.flow, m.kind, m.id, got, m.want)
		}
	}
}
