package mapping_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"mqgateway/api/proto/gateway"
	"mqgateway/api/proto/gateway/mq"
	"mqgateway/internal/flow"
	"mqgateway/internal/mapping"
)

// asked is a request that a consumer gateway took from a queue.
func asked() *flow.Message {
	return &flow.Message{
		ID: "m-1", CorrelID: "c-1", ReplyTo: "replies", Expiry: time.Minute,
		Source: flow.Source{Queue: "orders.in", Manager: "qm1"},
	}
}

// consumer are the options of a consumer gateway without a send queue.
func consumer() mapping.OutboundOptions {
	o := options()
	o.Role, o.SendQueue = flow.Consumer, ""
	return o
}

// answerTo maps an answer, which has to succeed.
func answerTo(t *testing.T, o mapping.OutboundOptions, request *flow.Message, p *gateway.ProtoMessage, call *flow.Call) *flow.Message {
	t.Helper()
	m, err := mapping.NewOutbound(o).Answer(request, p, call)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestIDsOfAnswers(t *testing.T) {
	t.Parallel()
	both, onlyID, onlyCorrel, none := asked(), asked(), asked(), asked()
	onlyID.CorrelID = ""
	onlyCorrel.ID, onlyCorrel.IDMade = "made-1", true
	none.ID, none.IDMade, none.CorrelID = "made-1", true, ""
	for _, tt := range []struct {
		name       string
		request    *flow.Message
		byCorrelID bool
		id, correl string // of the answer
		wantOwnID  bool
		want       string // correlation id
	}{
		{"the id that the sender set", both, false, "", "", false, "m-1"},
		{"with replyByCorrelId its correlation id", both, true, "", "", false, "c-1"},
		{"it set no correlation id", onlyID, false, "", "", false, "m-1"},
		{"nor with replyByCorrelId", onlyID, true, "", "", false, "m-1"},
		{"it set no id", onlyCorrel, false, "", "", false, "c-1"},
		{"nor with replyByCorrelId", onlyCorrel, true, "", "", false, "c-1"},
		{"it set neither", none, false, "", "", false, ""},
		{"neither with replyByCorrelId", none, true, "", "", false, ""},
		{"the service sets both", both, false, "s-1", "s-2", true, "s-2"},
		{"and wins over replyByCorrelId", both, true, "s-1", "s-2", true, "s-2"},
		{"the service echoes the ids", both, false, "m-1", "c-1", false, "m-1"},
		{"the service correlates by the id", both, true, "s-1", "m-1", true, "c-1"},
		{"the service echoes a made id", onlyCorrel, false, "made-1", "made-1", false, "c-1"},
		{"where there is no other", none, false, "made-1", "made-1", false, ""},
		{"the correlation id may be the answer's id", both, false, "c-1", "", true, "m-1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			o := consumer()
			o.ReplyByCorrelID = tt.byCorrelID
			m := answerTo(t, o, tt.request, &gateway.ProtoMessage{
				MessageId: tt.id, CorrelationId: tt.correl,
				SystemHeaders: map[string]string{"MsgId": "ignored", "JMSCorrelationID": strings.Repeat("x", 300)},
			}, nil)
			if tt.wantOwnID != (m.ID == tt.id && !m.IDMade) || m.ID == tt.request.ID || m.ID == "ignored" || m.ID == "" {
				t.Errorf("id = %q, made: %t", m.ID, m.IDMade)
			}
			if m.CorrelID != tt.want {
				t.Errorf("correlation id = %q, want %q", m.CorrelID, tt.want)
			}
		})
	}
}

// TestDerivedIDs holds that the id of an answer stays what it is: repeated
// answers of other versions of the gateway are known by it.
func TestDerivedIDs(t *testing.T) {
	t.Parallel()
	first := answerTo(t, consumer(), asked(), &gateway.ProtoMessage{Body: "a"}, nil)
	again := answerTo(t, consumer(), asked(), &gateway.ProtoMessage{Body: "b", MessageId: "m-1"}, nil)
	if first.ID != "9b3556fa-5545-56ca-871d-d2d63c886bab" || again.ID != first.ID || !first.IDMade {
		t.Errorf("ids = %q, %q", first.ID, again.ID)
	}
	if id, err := uuid.Parse(first.ID); err != nil || id.Version() != 5 {
		t.Errorf("id %q is no UUID of version 5", first.ID)
	}
	request := asked()
	request.ID = "m-2"
	if other := answerTo(t, consumer(), request, nil, nil); other.ID == first.ID {
		t.Errorf("answers to two requests have the id %q", other.ID)
	}
}

// TestAnEchoAsAnAnswer sends back what the service got, which many services do.
func TestAnEchoAsAnAnswer(t *testing.T) {
	t.Parallel()
	request := received()
	request.ReplyTo, request.ReplyToManager = "queue://qm2/replies", ""
	echo, err := mapping.ToProto(request)
	if err != nil {
		t.Fatal(err)
	}
	echo.Extension = nil
	for name, custom := range map[string]bool{"fixed": false, "custom": true} {
		o := consumer()
		o.CustomDestination = custom
		m := answerTo(t, o, request, echo, nil)
		if m.ID == request.ID || m.CorrelID != request.ID || m.Expiry != 0 {
			t.Errorf("%s: id %q, correlation id %q, expiry %s", name, m.ID, m.CorrelID, m.Expiry)
		}
		if want := (flow.Address{Key: "replies", Manager: "qm2"}); m.To != want || m.ReplyTo != "" || m.ReplyToManager != "" {
			t.Errorf("%s: to %+v with reply address %q on %q, want %+v without", name, m.To, m.ReplyTo, m.ReplyToManager, want)
		}
		if m.JMSType != request.JMSType || m.Priority != request.Priority || m.Source != (flow.Source{}) || !m.Timestamp.Equal(now) {
			t.Errorf("%s: answer = %+v", name, m)
		}
	}
}

func TestTheLifeOfAnswers(t *testing.T) {
	t.Parallel()
	system := map[string]string{"Expiry": "1000"}
	for _, tt := range []struct {
		name     string
		defaults time.Duration
		in       *gateway.ProtoMessage
		want     time.Duration
	}{
		{"nobody bounds it", 0, &gateway.ProtoMessage{}, 0},
		{"system headers do not count", 0, &gateway.ProtoMessage{SystemHeaders: system}, 0},
		{"nor malformed ones", 0, &gateway.ProtoMessage{SystemHeaders: map[string]string{"JMSExpiration": "soon", "expiration": "-2"}}, 0},
		{"the default", time.Hour, &gateway.ProtoMessage{SystemHeaders: system}, time.Hour},
		{"the extension", time.Hour, &gateway.ProtoMessage{SystemHeaders: system, Extension: packed(t, &mq.MqMessageInformation{Expiry: 2000})}, 2 * time.Second},
		{"for ever by the extension", time.Hour, &gateway.ProtoMessage{Extension: packed(t, &mq.MqMessageInformation{Expiry: -1})}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			o := consumer()
			o.Defaults.Expiry = tt.defaults
			if m := answerTo(t, o, asked(), tt.in, nil); m.Expiry != tt.want {
				t.Errorf("expiry = %s, want %s", m.Expiry, tt.want)
			}
		})
	}
}

func TestWhereAnswersGo(t *testing.T) {
	t.Parallel()
	const direct = "amq.rabbitmq.reply-to.g1h2AAVub2RlQAAAAAAAAA==.k/9z=="
	for _, tt := range []struct {
		name      string
		fixed     bool
		sendQueue string
		call      *flow.Call
		extension string // queue@manager, as all below
		header    string
		asked     string
		want      flow.Address
		replyTo   string
	}{
		{"the send queue, whatever else is set", true, "out", overriding("over", "qm2"), "ext@qm2", "own@qm2", "replies@qm2", flow.Address{Key: "out"}, "own"},
		{"without it the reply address", true, "", overriding("over", "qm2"), "ext@qm2", "own@qm2", "replies@qm2", flow.Address{Key: "replies", Manager: "qm2"}, "own"},
		{"on the manager that delivered", true, "", nil, "", "", "replies", flow.Address{Key: "replies", Manager: "qm1"}, ""},
		{"in the JMS form", true, "", nil, "", "", "queue://qm2/replies?targetClient=1", flow.Address{Key: "replies", Manager: "qm2"}, ""},
		{"an exchange", true, "", nil, "", "", "exchange:x/a.b", flow.Address{Exchange: "x", Key: "a.b", Manager: "qm1"}, ""},
		{"direct reply-to", true, "", nil, "", "", direct, flow.Address{Key: direct, Manager: "qm1"}, ""},
		{"1: metadata", false, "out", overriding("over", "qm2"), "ext@qm1", "own@qm1", "replies", flow.Address{Key: "over", Manager: "qm2"}, "own"},
		{"1: on any manager", false, "out", overriding("over", ""), "ext@qm1", "own@qm1", "replies@qm2", flow.Address{Key: "over"}, "own"},
		{"2: extension", false, "out", nil, "ext@qm2", "own@qm1", "replies", flow.Address{Key: "ext", Manager: "qm2"}, "own"},
		{"2: on any manager", false, "out", nil, "ext", "own@qm1", "replies@qm1", flow.Address{Key: "ext"}, "own"},
		{"3: reply address of the answer", false, "out", nil, "", "own@qm2", "replies", flow.Address{Key: "own", Manager: "qm2"}, ""},
		{"3: on the manager that delivered", false, "out", nil, "", "own", "replies@qm2", flow.Address{Key: "own", Manager: "qm1"}, ""},
		{"3: an echo is where the request says", false, "out", nil, "", "replies", "replies@qm2", flow.Address{Key: "replies", Manager: "qm2"}, ""},
		{"3: but for its manager", false, "out", nil, "", "replies@qm2", "replies", flow.Address{Key: "replies", Manager: "qm2"}, ""},
		{"4: reply address of the request", false, "out", overriding("", ""), "", "", "replies@qm2", flow.Address{Key: "replies", Manager: "qm2"}, ""},
		{"4: on the manager that delivered", false, "out", nil, "", "", "replies", flow.Address{Key: "replies", Manager: "qm1"}, ""},
		{"4: direct reply-to", false, "out", nil, "", "", direct, flow.Address{Key: direct, Manager: "qm1"}, ""},
		{"5: the send queue", false, "out", nil, "", "", "", flow.Address{Key: "out"}, ""},
		{"a manager alone goes with the next queue", false, "out", overriding("", "qm2"), "ext@qm1", "", "", flow.Address{Key: "ext", Manager: "qm2"}, ""},
		{"that of the request, too", false, "out", nil, "@qm2", "", "replies@qm1", flow.Address{Key: "replies", Manager: "qm2"}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			o := consumer()
			o.CustomDestination, o.SendQueue = !tt.fixed, tt.sendQueue
			request := asked()
			request.ReplyTo, request.ReplyToManager, _ = strings.Cut(tt.asked, "@")
			queue, manager, _ := strings.Cut(tt.extension, "@")
			own, ownManager, _ := strings.Cut(tt.header, "@")
			m := answerTo(t, o, request, &gateway.ProtoMessage{
				SystemHeaders: map[string]string{"ReplyToQ": own, "ReplyToQMgr": ownManager},
				Extension:     packed(t, &mq.MqMessageInformation{DestinationQueue: queue, DestinationManager: manager}),
			}, tt.call)
			if m.To != tt.want || m.ReplyTo != tt.replyTo || (m.ReplyTo == "") != (m.ReplyToManager == "") {
				t.Errorf("to %+v, reply address %q on %q, want %+v, %q", m.To, m.ReplyTo, m.ReplyToManager, tt.want, tt.replyTo)
			}
		})
	}
}

func TestAnswersThatCannotBeSent(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 256)
	elsewhere := asked()
	elsewhere.ReplyToManager = "QM9"
	unanswerable := asked()
	unanswerable.ReplyTo = ""
	for _, tt := range []struct {
		name    string
		request *flow.Message
		in      *gateway.ProtoMessage
		code    flow.Code
		want    string
	}{
		{"id", asked(), &gateway.ProtoMessage{MessageId: long}, flow.BadMessage, "messageId: 256 bytes"},
		{"correlation id", asked(), &gateway.ProtoMessage{CorrelationId: long}, flow.BadMessage, "correlationId: 256 bytes"},
		{"priority", asked(), &gateway.ProtoMessage{SystemHeaders: map[string]string{"Priority": "x"}}, flow.BadMessage, `systemHeaders["Priority"]`},
		{"header", asked(), &gateway.ProtoMessage{UserHeaders: map[string]string{"": ""}}, flow.BadMessage, "userHeaders: a name is empty"},
		{"extension", asked(), &gateway.ProtoMessage{Extension: packed(t, &mq.MqMessageInformation{Expiry: -2})}, flow.BadMessage, "extension.expiry"},
		{"an unknown manager", elsewhere, nil, flow.BrokerFailed, `"QM9" is not configured for destination "replies"; configured: qm1, qm2`},
		{"nowhere to go", unanswerable, nil, flow.BadMessage, "answer names no destination, its request has no ReplyToQ, and mq.connection.sendQueue is not set"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			o := consumer()
			o.CustomDestination = true
			_, err := mapping.NewOutbound(o).Answer(tt.request, tt.in, nil)
			if flow.CodeOf(err) != tt.code || flow.ClassOf(err) != flow.Permanent || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error = %d %v, want %d with %q", flow.CodeOf(err), err, tt.code, tt.want)
			}
		})
	}
}

func TestAnswerable(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name             string
		sendQueue        string
		custom           bool
		replyTo, manager string
		code             flow.Code
		want             string
	}{
		{"a reply address", "", false, "replies", "", 0, ""},
		{"a send queue", "out", false, "", "", 0, ""},
		{"the answer may name it", "", true, "", "", 0, ""},
		{"none", "", false, "", "", flow.BadMessage, "request has no ReplyToQ for its answer, and mq.connection.sendQueue is not set"},
		{"a manager alone", "", false, "", "qm1", flow.BadMessage, "request has no ReplyToQ"},
		{"a malformed one", "", false, "exchange:x", "", flow.BadMessage, "ReplyToQ of the request: address"},
		{"one that is too long", "", false, strings.Repeat("x", 256), "", flow.BadMessage, "ReplyToQ of the request: queue or routing key: 256 bytes"},
		{"an unknown manager", "", false, "replies", "QM9", flow.BrokerFailed, `"QM9" is not configured`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			o := consumer()
			o.SendQueue, o.CustomDestination = tt.sendQueue, tt.custom
			request := asked()
			request.ReplyTo, request.ReplyToManager = tt.replyTo, tt.manager
			before, called := *request, false
			handler := mapping.NewOutbound(o).Answerable(func(_ context.Context, m *flow.Message) (*flow.Message, error) {
				called = true
				return m, nil
			})
			_, err := handler(t.Context(), request)
			if called != (tt.code == 0) || called != (err == nil) {
				t.Fatalf("called: %t, error: %v", called, err)
			}
			if err != nil && (flow.CodeOf(err) != tt.code || flow.ClassOf(err) != flow.Permanent || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("error = %d %v, want %d with %q", flow.CodeOf(err), err, tt.code, tt.want)
			}
			if diff := cmp.Diff(&before, request); diff != "" {
				t.Errorf("the request changed (-want +got):\n%s", diff)
			}
		})
	}
}

func FuzzAnswer(f *testing.F) {
	f.Add("m-1", "c-1", "replies", "qm1", "m-1", "c-1", "ReplyToQ", "replies", false, false)
	f.Add("m-1", "", "queue://qm2/replies", "", "", "", "Expiry", "x", true, true)
	f.Fuzz(func(t *testing.T, id, correlID, replyTo, manager, answerID, answerCorrelID, system, value string, made, custom bool) {
		o := consumer()
		o.CustomDestination = custom
		request := &flow.Message{
			ID: id, IDMade: made, CorrelID: correlID, ReplyTo: replyTo, ReplyToManager: manager, Source: flow.Source{Queue: "in", Manager: "qm1"},
		}
		m, err := mapping.NewOutbound(o).Answer(request, &gateway.ProtoMessage{
			MessageId: answerID, CorrelationId: answerCorrelID, SystemHeaders: map[string]string{system: value},
		}, nil)
		if err != nil {
			if code := flow.CodeOf(err); code != flow.BadMessage && code != flow.BrokerFailed {
				t.Errorf("code = %d: %v", code, err)
			}
			return
		}
		if m.ID == "" || m.ID == id || m.To.String() == "" || m.To.Manager == "" || m.Expiry != 0 || made && m.CorrelID == id && id != "" && id != correlID {
			t.Errorf("accepted %+v", m)
		}
	})
}

func BenchmarkAnswer(b *testing.B) {
	request := received()
	p, err := mapping.ToProto(request)
	if err != nil {
		b.Fatal(err)
	}
	p.Body = strings.Repeat("<a>text</a>", 93)
	p.UserHeaders = map[string]string{"a": "1", "b": "2", "c": "3", "d": "4"}
	o := mapping.NewOutbound(options())
	b.ReportAllocs()
	for b.Loop() {
		if _, err := o.Answer(request, p, nil); err != nil {
			b.Fatal(err)
		}
	}
}
