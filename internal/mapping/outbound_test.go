package mapping_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/anypb"

	"mqgateway/api/proto/gateway"
	"mqgateway/api/proto/gateway/mq"
	"mqgateway/internal/flow"
	"mqgateway/internal/mapping"
)

var now = time.Date(2026, 4, 1, 8, 0, 0, 0, time.UTC)

// options are those of a provider gateway that sends to one queue.
func options() mapping.OutboundOptions {
	return mapping.OutboundOptions{
		Role: flow.Provider, SendQueue: "out", Managers: []string{"qm1", "qm2"},
		NewID: func() string { return "made" },
		Now:   func() time.Time { return now },
	}
}

// plain is what an empty ProtoMessage becomes with these options.
func plain() *flow.Message {
	return &flow.Message{
		ID: "made", IDMade: true, Persistence: flow.Persistent, Timestamp: now, Body: []byte{}, Headers: []flow.Header{},
		ContentType: "text/plain; charset=utf-8", To: flow.Address{Key: "out"},
	}
}

func sortHeaders(m *flow.Message) *flow.Message {
	slices.SortFunc(m.Headers, func(a, b flow.Header) int { return strings.Compare(a.Name, b.Name) })
	return m
}

func TestFromProto(t *testing.T) {
	t.Parallel()
	defaults := mapping.OutboundConfig{
		DeliveryMode: "non-persistent", Priority: 3, Expiry: time.Minute, Headers: map[string]string{"x-from": "gateway"},
	}
	for _, tt := range []struct {
		name     string
		defaults mapping.OutboundConfig
		user     string
		in       *gateway.ProtoMessage
		want     func(*flow.Message)
	}{
		{
			name: "nothing is set",
			in:   &gateway.ProtoMessage{},
			want: func(*flow.Message) {},
		},
		{
			name: "nil is empty",
			want: func(*flow.Message) {},
		},
		{
			name: "ids and body",
			in:   &gateway.ProtoMessage{MessageId: "m-1", CorrelationId: "c-1", Body: " <a/>"},
			want: func(m *flow.Message) {
				m.ID, m.IDMade, m.CorrelID, m.Body, m.ContentType = "m-1", false, "c-1", []byte(" <a/>"), "text/xml; charset=utf-8"
			},
		},
		{
			name: "ids of the system headers",
			in:   &gateway.ProtoMessage{SystemHeaders: map[string]string{"MsgId": "m-2", "JMSCorrelationID": "c-2"}},
			want: func(m *flow.Message) { m.ID, m.IDMade, m.CorrelID = "m-2", false, "c-2" },
		},
		{
			name: "ids of the fields win",
			in: &gateway.ProtoMessage{
				MessageId: "m-1", CorrelationId: "c-1", SystemHeaders: map[string]string{"MsgId": strings.Repeat("x", 300), "CorrelId": "c-2"},
			},
			want: func(m *flow.Message) { m.ID, m.IDMade, m.CorrelID = "m-1", false, "c-1" },
		},
		{
			name: "every system header",
			in: &gateway.ProtoMessage{SystemHeaders: map[string]string{
				"ReplyToQ": "replies", "ReplyToQMgr": "qm2", "Expiry": "5000", "Priority": "9", "Persistence": "1", "MsgType": "1",
				"Type": "order", "PutApplName": "billing", "ContentType": "application/xml", "ContentEncoding": "base64",
			}},
			want: func(m *flow.Message) {
				m.ReplyTo, m.ReplyToManager, m.Expiry, m.Priority, m.Persistence = "replies", "qm2", 5*time.Second, 9, flow.NonPersistent
				m.Type, m.JMSType, m.AppID, m.ContentType, m.ContentEncoding = flow.Request, "order", "billing", "application/xml", "base64"
			},
		},
		{
			name: "aliases, in any case",
			in: &gateway.ProtoMessage{SystemHeaders: map[string]string{
				"jmsreplyto": "queue://qm1/replies", "EXPIRATION": "5000", "jmsPriority": "9", "DeliveryMode": "1", "jmsType": "order",
				"JMSXAppID": "billing", "format": "application/xml",
			}},
			want: func(m *flow.Message) {
				m.ReplyTo, m.ReplyToManager, m.Expiry, m.Priority, m.Persistence = "replies", "qm1", 5*time.Second, 9, flow.NonPersistent
				m.JMSType, m.AppID, m.ContentType = "order", "billing", "application/xml"
			},
		},
		{
			name: "of two names the canonical one counts",
			in:   &gateway.ProtoMessage{SystemHeaders: map[string]string{"Priority": "1", "JMSPriority": "9", "expiry": "1000", "JMSExpiration": "1", "expiration": "3000"}},
			want: func(m *flow.Message) { m.Priority, m.Expiry = 1, time.Second },
		},
		{
			name: "the manager of ReplyToQMgr counts",
			in:   &gateway.ProtoMessage{SystemHeaders: map[string]string{"ReplyToQ": "queue://qm1/replies", "ReplyToQMgr": "qm2"}},
			want: func(m *flow.Message) { m.ReplyTo, m.ReplyToManager = "replies", "qm2" },
		},
		{
			name: "what microservices echo is ignored",
			in: &gateway.ProtoMessage{SystemHeaders: map[string]string{
				"PutDateTime": "not even a time", "UserIdentifier": "guest", "BackoutCount": "x", "Redelivered": "x", "SourceQueue": "q",
				"SourceManager": "m", "Exchange": "e", "RoutingKey": "k", "PutDate": "20260101", "Unheard": "of", "Priority": "", "JMSTimestamp": "x",
			}},
			want: func(*flow.Message) {},
		},
		{
			name: "the gateway's own user stays",
			user: "guest",
			in:   &gateway.ProtoMessage{SystemHeaders: map[string]string{"UserIdentifier": "guest"}},
			want: func(m *flow.Message) { m.UserID = "guest" },
		},
		{
			name: "the extension",
			in: &gateway.ProtoMessage{Extension: packed(t, &mq.MqMessageInformation{
				MessageType: mq.MqMessageInformation_REPLY, Priority: 255, DeliveryMode: mq.MqMessageInformation_NON_PERSISTENT,
				Expiry: 30000, JmsType: "order", SourceQueue: "echoed", SourceManager: "echoed",
			})},
			want: func(m *flow.Message) {
				m.Type, m.Priority, m.Persistence, m.Expiry, m.JMSType = flow.Reply, 255, flow.NonPersistent, 30*time.Second, "order"
			},
		},
		{
			name:     "the extension beats system headers, which beat defaults",
			defaults: defaults,
			in: &gateway.ProtoMessage{
				SystemHeaders: map[string]string{"Priority": "5", "Persistence": "2", "Expiry": "1000"},
				Extension:     packed(t, &mq.MqMessageInformation{Priority: 9}),
				UserHeaders:   map[string]string{"x-from": "service"},
			},
			want: func(m *flow.Message) {
				m.Priority, m.Persistence, m.Expiry = 9, flow.Persistent, time.Second
				m.Headers = []flow.Header{{Name: "x-from", Value: "service"}}
			},
		},
		{
			name:     "defaults",
			defaults: defaults,
			in:       &gateway.ProtoMessage{Extension: packed(t, &mq.MqMessageInformation{})},
			want: func(m *flow.Message) {
				m.Priority, m.Persistence, m.Expiry = 3, flow.NonPersistent, time.Minute
				m.Headers = []flow.Header{{Name: "x-from", Value: "gateway"}}
			},
		},
		{
			name:     "zeros of system headers are not set, but for the expiry",
			defaults: defaults,
			in: &gateway.ProtoMessage{
				SystemHeaders: map[string]string{"Priority": "0", "Persistence": "0", "Expiry": "0"},
				UserHeaders:   map[string]string{"x-from": "service"},
			},
			want: func(m *flow.Message) {
				m.Priority, m.Persistence = 3, flow.NonPersistent
				m.Headers = []flow.Header{{Name: "x-from", Value: "service"}}
			},
		},
		{
			name:     "expiry -1 of the extension is for ever",
			defaults: mapping.OutboundConfig{Expiry: time.Minute},
			in: &gateway.ProtoMessage{
				SystemHeaders: map[string]string{"Expiry": "1000"},
				Extension:     packed(t, &mq.MqMessageInformation{Expiry: -1}),
			},
			want: func(*flow.Message) {},
		},
		{
			name: "an empty extension is none",
			in:   &gateway.ProtoMessage{Extension: &anypb.Any{}},
			want: func(*flow.Message) {},
		},
		{
			name: "user headers",
			in:   &gateway.ProtoMessage{UserHeaders: map[string]string{"b": "2", "a": "1", "empty": ""}},
			want: func(m *flow.Message) {
				m.Headers = []flow.Header{{Name: "a", Value: "1"}, {Name: "b", Value: "2"}, {Name: "empty", Value: ""}}
			},
		},
		{
			name: "JSON",
			in:   &gateway.ProtoMessage{Body: "\n[1]"},
			want: func(m *flow.Message) {
				m.Body, m.ContentType = []byte("\n[1]"), "application/json; charset=utf-8"
			},
		},
		{
			name: "the body is UTF-8, whatever the content type says",
			in:   &gateway.ProtoMessage{SystemHeaders: map[string]string{"ContentType": "text/xml; charset=windows-1251"}},
			want: func(m *flow.Message) { m.ContentType = "text/xml; charset=utf-8" },
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			o := options()
			o.Defaults, o.User = tt.defaults, tt.user
			got, err := mapping.NewOutbound(o).FromProto(tt.in, nil)
			if err != nil {
				t.Fatal(err)
			}
			want := plain()
			tt.want(want)
			if diff := cmp.Diff(want, sortHeaders(got)); diff != "" {
				t.Errorf("message (-want +got):\n%s", diff)
			}
		})
	}
}

func TestReservedHeadersAreNotSent(t *testing.T) {
	t.Parallel()
	in := &gateway.ProtoMessage{UserHeaders: map[string]string{"kept": "1"}}
	for _, name := range reserved {
		in.UserHeaders[name] = "x"
	}
	got, err := mapping.NewOutbound(options()).FromProto(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	if want := []flow.Header{{Name: "kept", Value: "1"}}; !cmp.Equal(want, got.Headers) {
		t.Errorf("headers = %v, want %v", got.Headers, want)
	}
}

// overriding is a call that names a destination; empty is not there.
func overriding(queue, manager string) *flow.Call {
	metadata := map[string][]string{}
	if queue != "" {
		metadata["x-synapse-override-destination-queue"] = []string{queue}
	}
	if manager != "" {
		metadata["x-synapse-override-destination-manager"] = []string{manager}
	}
	return &flow.Call{Metadata: metadata}
}

func TestDestination(t *testing.T) {
	t.Parallel()
	type message struct {
		call           *flow.Call
		queue, manager string // of the extension
		replyTo        string // as queue or queue@manager
	}
	everything := message{overriding("over", "qm2"), "ext", "qm1", "reply@qm1"}
	for _, tt := range []struct {
		name    string
		role    flow.Role
		fixed   bool
		noQueue bool
		in      message
		want    flow.Address
		replyTo string
	}{
		{"no custom destinations", flow.Consumer, true, false, everything, flow.Address{Key: "out"}, "reply"},
		{"metadata", flow.Consumer, false, false, everything, flow.Address{Key: "over", Manager: "qm2"}, "reply"},
		{"metadata without a manager", flow.Provider, false, false, message{overriding("over", ""), "ext", "qm1", ""}, flow.Address{Key: "over"}, ""},
		{"extension", flow.Consumer, false, false, message{nil, "ext", "qm1", "reply@qm2"}, flow.Address{Key: "ext", Manager: "qm1"}, "reply"},
		{"extension without a manager", flow.Consumer, false, false, message{nil, "ext", "", "reply@qm2"}, flow.Address{Key: "ext"}, "reply"},
		{"reply address", flow.Consumer, false, false, message{nil, "", "", "reply@qm2"}, flow.Address{Key: "reply", Manager: "qm2"}, ""},
		{"reply address without a manager", flow.Consumer, false, false, message{nil, "", "", "reply"}, flow.Address{Key: "reply"}, ""},
		{"reply address of a provider stays one", flow.Provider, false, false, message{nil, "", "", "reply@qm2"}, flow.Address{Key: "out"}, "reply"},
		{"send queue", flow.Consumer, false, false, message{}, flow.Address{Key: "out"}, ""},
		{"no send queue needed", flow.Consumer, false, true, message{nil, "ext", "", ""}, flow.Address{Key: "ext"}, ""},
		{"a manager alone goes with the next queue", flow.Consumer, false, false, message{overriding("", "qm2"), "ext", "qm1", ""}, flow.Address{Key: "ext", Manager: "qm2"}, ""},
		{"over two ranks", flow.Consumer, false, false, message{overriding("", "qm2"), "", "qm1", "reply"}, flow.Address{Key: "reply", Manager: "qm2"}, ""},
		{"or with the send queue", flow.Provider, false, false, message{nil, "", "qm1", ""}, flow.Address{Key: "out", Manager: "qm1"}, ""},
		{"an exchange", flow.Provider, false, false, message{nil, "exchange:x/a.b", "qm1", ""}, flow.Address{Exchange: "x", Key: "a.b", Manager: "qm1"}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			o := options()
			o.Role, o.CustomDestination = tt.role, !tt.fixed
			if tt.noQueue {
				o.SendQueue = ""
			}
			replyTo, replyManager, _ := strings.Cut(tt.in.replyTo, "@")
			in := &gateway.ProtoMessage{
				SystemHeaders: map[string]string{"ReplyToQ": replyTo, "ReplyToQMgr": replyManager},
				Extension:     packed(t, &mq.MqMessageInformation{DestinationQueue: tt.in.queue, DestinationManager: tt.in.manager}),
			}
			got, err := mapping.NewOutbound(o).FromProto(in, tt.in.call)
			if err != nil {
				t.Fatal(err)
			}
			if got.To != tt.want || got.ReplyTo != tt.replyTo || got.Call != tt.in.call {
				t.Errorf("to %+v, reply to %q, want %+v, %q", got.To, got.ReplyTo, tt.want, tt.replyTo)
			}
		})
	}
}

func TestFromProtoRefuses(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 256)
	many := map[string]string{}
	for i := range 257 {
		many[fmt.Sprint("h", i)] = ""
	}
	large := map[string]string{}
	for i := range 3 {
		large[fmt.Sprint("h", i)] = strings.Repeat("x", 30<<10)
	}
	system := func(name, value string) *gateway.ProtoMessage {
		return &gateway.ProtoMessage{SystemHeaders: map[string]string{name: value}}
	}
	extension := func(i *mq.MqMessageInformation) *gateway.ProtoMessage {
		return &gateway.ProtoMessage{Extension: packed(t, i)}
	}
	call := func(name, value string) *flow.Call {
		return &flow.Call{Metadata: map[string][]string{name: {value}}}
	}
	for _, tt := range []struct {
		name string
		in   *gateway.ProtoMessage
		call *flow.Call
		want string
	}{
		{"message id", &gateway.ProtoMessage{MessageId: long}, nil, "messageId: 256 bytes, at most 255"},
		{"correlation id", &gateway.ProtoMessage{CorrelationId: long}, nil, "correlationId: 256 bytes"},
		{"id of a system header", system("MsgId", long), nil, `systemHeaders["MsgId"]: 256 bytes`},
		{"reply address", system("JMSReplyTo", long), nil, `systemHeaders["JMSReplyTo"]: 256 bytes`},
		{"type", system("Type", long), nil, `systemHeaders["Type"]: 256 bytes`},
		{"application", system("PutApplName", long), nil, `systemHeaders["PutApplName"]: 256 bytes`},
		{"user", system("UserIdentifier", long), nil, `systemHeaders["UserIdentifier"]: 256 bytes`},
		{"content type", system("ContentType", long), nil, `systemHeaders["ContentType"]: 256 bytes`},
		{"expiry of a system header", system("Expiry", "-2"), nil, `systemHeaders["Expiry"]: "-2" is not`},
		{"priority of a system header", system("Priority", "256"), nil, `systemHeaders["Priority"]: "256" is not`},
		{"persistence of a system header", system("Persistence", "3"), nil, `systemHeaders["Persistence"]: "3" is`},
		{"type of a system header", system("MsgType", "3"), nil, `systemHeaders["MsgType"]: "3" is`},
		{"expiry", extension(&mq.MqMessageInformation{Expiry: -2}), nil, "extension.expiry: -2 is not"},
		{"expiry over the limit", extension(&mq.MqMessageInformation{Expiry: 1 << 32}), nil, "extension.expiry: 4294967296"},
		{"priority", extension(&mq.MqMessageInformation{Priority: 256}), nil, "extension.priority: 256"},
		{"negative priority", extension(&mq.MqMessageInformation{Priority: -1}), nil, "extension.priority: -1"},
		{"delivery mode", extension(&mq.MqMessageInformation{DeliveryMode: 3}), nil, "extension.deliveryMode: 3"},
		{"message type", extension(&mq.MqMessageInformation{MessageType: 3}), nil, "extension.messageType: 3"},
		{"type of the extension", extension(&mq.MqMessageInformation{JmsType: long}), nil, "extension.jmsType: 256 bytes"},
		{"destination", extension(&mq.MqMessageInformation{DestinationQueue: long}), nil, "extension.destinationQueue: queue or routing key: 256 bytes"},
		{"exchange", extension(&mq.MqMessageInformation{DestinationQueue: "exchange:" + long + "/k"}), nil, "extension.destinationQueue: exchange: 256 bytes"},
		{"malformed exchange", extension(&mq.MqMessageInformation{DestinationQueue: "exchange:x"}), nil, "extension.destinationQueue: address"},
		{"destination of the call", &gateway.ProtoMessage{}, call("x-synapse-override-destination-queue", long), "x-synapse-override-destination-queue: queue"},
		{"an unknown extension", &gateway.ProtoMessage{Extension: &anypb.Any{TypeUrl: "type.googleapis.com/other.Type"}}, nil, `extension: type "type.googleapis.com/other.Type" is not com.sbt`},
		{"a broken extension", &gateway.ProtoMessage{Extension: &anypb.Any{TypeUrl: "x/com.sbt.synapse.gateway.mq.MqMessageInformation", Value: []byte{0xFF}}}, nil, "extension: unpacking"},
		{"an extension without a type", &gateway.ProtoMessage{Extension: &anypb.Any{Value: []byte{0x10, 1}}}, nil, `extension: type "" is not`},
		{"header name", &gateway.ProtoMessage{UserHeaders: map[string]string{long: ""}}, nil, "name of 256 bytes"},
		{"no header name", &gateway.ProtoMessage{UserHeaders: map[string]string{"": ""}}, nil, "userHeaders: a name is empty"},
		{"header", &gateway.ProtoMessage{UserHeaders: map[string]string{"h": strings.Repeat("x", 32<<10+1)}}, nil, `userHeaders["h"]: 32769 bytes`},
		{"many headers", &gateway.ProtoMessage{UserHeaders: many}, nil, "userHeaders: 257 headers, at most 256"},
		{"large headers", &gateway.ProtoMessage{UserHeaders: large}, nil, "userHeaders: 92166 bytes together, at most 65536"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			o := options()
			o.CustomDestination = true
			_, err := mapping.NewOutbound(o).FromProto(tt.in, tt.call)
			if flow.CodeOf(err) != flow.BadMessage || flow.ClassOf(err) != flow.Permanent || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error = %d %v, want 606 with %q", flow.CodeOf(err), err, tt.want)
			}
		})
	}
}

func TestWithoutADestination(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]mapping.OutboundOptions{
		"fixed":           {Role: flow.Consumer},
		"custom":          {Role: flow.Consumer, CustomDestination: true},
		"custom provider": {Role: flow.Provider, CustomDestination: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := mapping.NewOutbound(o).FromProto(&gateway.ProtoMessage{}, nil)
			if flow.CodeOf(err) != flow.BadMessage || !strings.Contains(err.Error(), "mq.connection.sendQueue") {
				t.Errorf("error = %d %v, want 606 naming the key", flow.CodeOf(err), err)
			}
		})
	}
}

func TestAManagerThatIsNotConfigured(t *testing.T) {
	t.Parallel()
	o := options()
	o.CustomDestination = true
	in := &gateway.ProtoMessage{Extension: packed(t, &mq.MqMessageInformation{DestinationQueue: "q", DestinationManager: "QM9"})}
	_, err := mapping.NewOutbound(o).FromProto(in, nil)
	if flow.CodeOf(err) != flow.BrokerFailed || flow.ClassOf(err) != flow.Permanent || !strings.Contains(err.Error(), `"QM9" is not configured for destination "q"; configured: qm1, qm2`) {
		t.Errorf("error = %d %v, want 603 naming the managers", flow.CodeOf(err), err)
	}
}

func TestNewID(t *testing.T) {
	t.Parallel()
	a, b := mapping.NewID(), mapping.NewID()
	if parsed, err := uuid.Parse(a); err != nil || parsed.Version() != 7 || a >= b {
		t.Errorf("ids = %s, %s, want ascending UUIDs of version 7", a, b)
	}
}

// TestRoundTrip sends a received message back, as an echoing service would.
func TestRoundTrip(t *testing.T) {
	t.Parallel()
	m := received()
	m.Headers = []flow.Header{{Name: "x-a", Value: "1"}}
	echoed, err := mapping.ToProto(m)
	if err != nil {
		t.Fatal(err)
	}
	got, err := mapping.NewOutbound(options()).FromProto(echoed, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := received()
	want.Headers = m.Headers
	want.Source, want.UserID, want.Timestamp, want.To = flow.Source{}, "", now, flow.Address{Key: "out"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("message (-want +got):\n%s", diff)
	}
}

func FuzzFromProto(f *testing.F) {
	f.Add("m", "c", "<a/>", "Expiry", "-1", "x-h", "v", []byte{0x10, 1}, "exchange:e/k", true)
	f.Add("", "", "{", "ReplyToQ", "queue://a/b", "CC", "", []byte(nil), "", false)
	f.Fuzz(func(t *testing.T, id, correlation, body, system, value, user, text string, extension []byte, queue string, consumer bool) {
		o := options()
		o.CustomDestination = true
		if consumer {
			o.Role = flow.Consumer
		}
		in := &gateway.ProtoMessage{
			MessageId: id, CorrelationId: correlation, Body: body,
			SystemHeaders: map[string]string{system: value}, UserHeaders: map[string]string{user: text},
			Extension: &anypb.Any{TypeUrl: "type.googleapis.com/com.sbt.synapse.gateway.mq.MqMessageInformation", Value: extension},
		}
		call := &flow.Call{Metadata: map[string][]string{"x-synapse-override-destination-queue": {queue}}}
		m, err := mapping.NewOutbound(o).FromProto(in, call)
		if err != nil {
			if code := flow.CodeOf(err); code != flow.BadMessage && code != flow.BrokerFailed {
				t.Errorf("code = %d: %v", code, err)
			}
			return
		}
		for name, short := range map[string]string{
			"id": m.ID, "correlation id": m.CorrelID, "reply-to": m.ReplyTo, "type": m.JMSType, "user": m.UserID, "application": m.AppID,
			"content type": m.ContentType, "content encoding": m.ContentEncoding, "exchange": m.To.Exchange, "key": m.To.Key,
		} {
			if len(short) > 255 {
				t.Errorf("%s of %d bytes was accepted", name, len(short))
			}
		}
		if m.Expiry < 0 || m.Expiry > flow.MaxExpiry || m.ID == "" || m.To.String() == "" || m.Persistence == 0 || len(m.Headers) > 1 {
			t.Errorf("accepted %+v", m)
		}
	})
}

func BenchmarkFromProto(b *testing.B) {
	p, err := mapping.ToProto(received())
	if err != nil {
		b.Fatal(err)
	}
	p.Body = strings.Repeat("<a>text</a>", 93)
	p.UserHeaders = map[string]string{"a": "1", "b": "2", "c": "3", "d": "4"}
	o := mapping.NewOutbound(options())
	b.ReportAllocs()
	for b.Loop() {
		if _, err := o.FromProto(p, nil); err != nil {
			b.Fatal(err)
		}
	}
}
