package mapping_test

import (
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

func BenchmarkToProto(b *testing.B) {
	m := received()
	m.Body = []byte(strings.Repeat("<a>text</a>", 93))
	for i := range 4 {
		m.Headers = append(m.Headers, flow.Header{Name: fmt.Sprintf("x-header-%d", i), Value: "value"})
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := mapping.ToProto(m); err != nil {
			b.Fatal(err)
		}
	}
}
