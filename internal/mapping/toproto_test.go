package mapping_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/anypb"

	"mqgateway/api/proto/gateway"
	"mqgateway/api/proto/gateway/mq"
	"mqgateway/internal/flow"
	"mqgateway/internal/mapping"
)

// received is a message with every property that a queue can give it.
func received() *flow.Message {
	return &flow.Message{
		ID: "m-1", CorrelID: "c-1", ReplyTo: "replies", ReplyToManager: "qm2",
		Expiry: 30 * time.Second, Priority: 7, Persistence: flow.Persistent, Type: flow.Request, JMSType: "order",
		Timestamp: time.Date(2026, 3, 1, 12, 30, 45, 0, time.UTC), UserID: "guest", AppID: "billing",
		ContentType: "text/xml; charset=utf-8", ContentEncoding: "base64",
		Body: []byte("<a>Да</a>"),
		Source: flow.Source{
			Queue: "orders.in", Manager: "qm1", Exchange: "orders", RoutingKey: "new", Redelivered: true, Deliveries: 2,
		},
	}
}

func packed(t testing.TB, information *mq.MqMessageInformation) *anypb.Any {
	t.Helper()
	extension, err := anypb.New(information)
	if err != nil {
		t.Fatal(err)
	}
	return extension
}

func TestToProto(t *testing.T) {
	t.Parallel()
	m := received()
	m.Headers = []flow.Header{{Name: "x-amount", Value: int64(5)}, {Name: "x-death", Value: "broker's"}}
	got, err := mapping.ToProto(m)
	if err != nil {
		t.Fatal(err)
	}
	want := &gateway.ProtoMessage{
		MessageId: "m-1", CorrelationId: "c-1", Body: "<a>Да</a>",
		UserHeaders: map[string]string{"x-amount": "5"},
		SystemHeaders: map[string]string{
			"MsgId": "m-1", "CorrelId": "c-1", "ReplyToQ": "replies", "ReplyToQMgr": "qm2",
			"Expiry": "30000", "Priority": "7", "Persistence": "2", "MsgType": "1", "Type": "order",
			"PutDateTime": "2026-03-01T12:30:45Z", "UserIdentifier": "guest", "PutApplName": "billing",
			"ContentType": "text/xml; charset=utf-8", "ContentEncoding": "base64",
			"BackoutCount": "2", "Redelivered": "true", "SourceQueue": "orders.in", "SourceManager": "qm1",
			"Exchange": "orders", "RoutingKey": "new",
		},
		Extension: packed(t, &mq.MqMessageInformation{
			MessageType: mq.MqMessageInformation_REQUEST, Priority: 7, DeliveryMode: mq.MqMessageInformation_PERSISTENT,
			Expiry: 30000, SourceQueue: "orders.in", SourceManager: "qm1", JmsType: "order",
		}),
	}
	if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
		t.Errorf("ProtoMessage (-want +got):\n%s", diff)
	}
	if _, err := proto.Marshal(got); err != nil {
		t.Errorf("marshalling: %v", err)
	}
}

func TestToProtoOfABareMessage(t *testing.T) {
	t.Parallel()
	got, err := mapping.ToProto(&flow.Message{ID: "m-1", IDMade: true, Source: flow.Source{Queue: "q", Manager: "qm1"}})
	if err != nil {
		t.Fatal(err)
	}
	want := &gateway.ProtoMessage{
		MessageId: "m-1",
		SystemHeaders: map[string]string{
			"MsgId": "m-1", "MsgType": "8", "BackoutCount": "0", "Redelivered": "false", "SourceQueue": "q", "SourceManager": "qm1",
		},
		Extension: packed(t, &mq.MqMessageInformation{
			MessageType: mq.MqMessageInformation_DATAGRAM, SourceQueue: "q", SourceManager: "qm1",
		}),
	}
	if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
		t.Errorf("ProtoMessage (-want +got):\n%s", diff)
	}
}

func TestUserHeadersOfEveryWireType(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		value any
		want  string
	}{
		{nil, ""},
		{"Да", "Да"},
		{true, "true"},
		{int8(-8), "-8"},
		{int16(-16), "-16"},
		{int32(-32), "-32"},
		{int64(-1 << 62), "-4611686018427387904"},
		{uint8(8), "8"},
		{uint16(16), "16"},
		{uint32(1 << 31), "2147483648"},
		{uint64(1 << 63), "9223372036854775808"},
		{float32(0.1), "0.1"},
		{1e21, "1000000000000000000000"},
		{flow.Decimal{Scale: 2, Value: -105}, "-1.05"},
		{time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), "2026-03-01T12:00:00Z"},
		{[]byte("text"), "text"},
		{[]byte{0xFF, 0x00}, "/wA="},
		{map[string]any{"b": int32(1), "a": []any{nil, "x"}}, `{"a":[null,"x"],"b":1}`},
		{[]any{int64(1), false}, `[1,false]`},
	} {
		t.Run(fmt.Sprintf("%T", tt.value), func(t *testing.T) {
			t.Parallel()
			got, err := mapping.ToProto(&flow.Message{Headers: []flow.Header{{Name: "h", Value: tt.value}}})
			if err != nil {
				t.Fatal(err)
			}
			if text, ok := got.GetUserHeaders()["h"]; !ok || text != tt.want {
				t.Errorf("header = %q, want %q", text, tt.want)
			}
		})
	}
}

// reserved are the headers of the broker and of the gateway.
var reserved = []string{
	"x-death", "x-first-death-queue", "x-last-death-reason", "x-delivery-count", "CC", "BCC",
	"x-gateway-attempts", "x-mq-msg-type", "x-reply-to-manager", "X-Death",
}

func TestReservedHeadersAreNotShown(t *testing.T) {
	t.Parallel()
	m := &flow.Message{}
	for _, name := range reserved {
		m.Headers = append(m.Headers, flow.Header{Name: name, Value: "x"})
	}
	got, err := mapping.ToProto(m)
	if err != nil {
		t.Fatal(err)
	}
	if len(got.GetUserHeaders()) > 0 {
		t.Errorf("user headers = %v, want none", got.GetUserHeaders())
	}
}

func TestToProtoRefusesWhatIsNotUTF8(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		m    flow.Message
		want string
	}{
		"body":         {flow.Message{Body: []byte("\xFF")}, "body"},
		"property":     {flow.Message{CorrelID: "\xFF\x01"}, "property CorrelId"},
		"header":       {flow.Message{Headers: []flow.Header{{Name: "h", Value: "\xFF"}}}, `user header "h"`},
		"header name":  {flow.Message{Headers: []flow.Header{{Name: "h\xFF", Value: ""}}}, `user header "h\xff"`},
		"source queue": {flow.Message{Source: flow.Source{Queue: "\xFF"}}, "property SourceQueue"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := mapping.ToProto(&tt.m)
			if flow.CodeOf(err) != flow.BadMessage || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error = %d %v, want 606 with %q", flow.CodeOf(err), err, tt.want)
			}
		})
	}
}

// typical is a message of 1 KiB with the usual properties and four headers.
func typical() *flow.Message {
	m := received()
	m.Body = []byte(strings.Repeat("<a>text</a>", 93))
	for i := range 4 {
		m.Headers = append(m.Headers, flow.Header{Name: fmt.Sprintf("x-header-%d", i), Value: "value"})
	}
	return m
}

// TestAppendProtoIsWhatTheLibraryEncodes: every field at its number and in its
// type, none unknown, none that the library would leave out.
func TestAppendProtoIsWhatTheLibraryEncodes(t *testing.T) {
	t.Parallel()
	for name, m := range map[string]*flow.Message{
		"typical": typical(), "empty": {}, "empty header": {Headers: []flow.Header{{}}},
		"extremes": {Priority: 255, Expiry: flow.MaxExpiry, Persistence: 2, Type: flow.Datagram, JMSType: strings.Repeat("x", 300)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			encoded, err := mapping.AppendProto([]byte("before"), m)
			if err != nil {
				t.Fatal(err)
			}
			encoded, ok := bytes.CutPrefix(encoded, []byte("before"))
			decoded := new(gateway.ProtoMessage)
			if err := proto.Unmarshal(encoded, decoded); err != nil || !ok {
				t.Fatalf("decoding: %v; what was there before is kept: %t", err, ok)
			}
			if len(decoded.ProtoReflect().GetUnknown()) > 0 {
				t.Errorf("unknown fields %x", decoded.ProtoReflect().GetUnknown())
			}
			if want := proto.Size(decoded); len(encoded) != want {
				t.Errorf("encoded in %d bytes, want %d", len(encoded), want)
			}
			information := new(mq.MqMessageInformation)
			if err := decoded.GetExtension().UnmarshalTo(information); err != nil {
				t.Fatal(err)
			}
			if want := proto.Size(information); len(decoded.GetExtension().GetValue()) != want {
				t.Errorf("extension of %d bytes, want %d", len(decoded.GetExtension().GetValue()), want)
			}
		})
	}
}

// TestAppendProtoAllocations: the texts of Expiry and PutDateTime, and nothing for
// the encoding.
func TestAppendProtoAllocations(t *testing.T) {
	m, out := typical(), make([]byte, 0, 4096)
	got := testing.AllocsPerRun(100, func() {
		if _, err := mapping.AppendProto(out, m); err != nil {
			t.Fatal(err)
		}
	})
	if got > 2 {
		t.Errorf("%v allocations, want 2", got)
	}
}

func BenchmarkAppendProto(b *testing.B) {
	m, out := typical(), make([]byte, 0, 4096)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := mapping.AppendProto(out, m); err != nil {
			b.Fatal(err)
		}
	}
}
