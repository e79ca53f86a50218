package mapping_test

import (
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

func TestRequest(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		in   *gateway.ProtoMessage
		want func(*flow.Message)
	}{
		{"nothing is set", nil, func(*flow.Message) {}},
		{
			"ids of the caller stay", &gateway.ProtoMessage{MessageId: "m-1", CorrelationId: "c-1"},
			func(m *flow.Message) { m.ID, m.IDMade, m.CorrelID = "m-1", false, "c-1" },
		},
		{
			"those of system headers, too", &gateway.ProtoMessage{SystemHeaders: map[string]string{"JMSMessageID": "m-1", "CorrelId": "c-1"}},
			func(m *flow.Message) { m.ID, m.IDMade, m.CorrelID = "m-1", false, "c-1" },
		},
		{
			"only what is missing is made", &gateway.ProtoMessage{MessageId: "m-1"},
			func(m *flow.Message) { m.ID, m.IDMade = "m-1", false },
		},
		{
			"a shorter life stays", &gateway.ProtoMessage{SystemHeaders: map[string]string{"Expiry": "5000"}},
			func(m *flow.Message) { m.Expiry = 5 * time.Second },
		},
		{
			"a longer one is cut", &gateway.ProtoMessage{SystemHeaders: map[string]string{"Expiry": "60001"}},
			func(*flow.Message) {},
		},
		{
			"and one for ever", &gateway.ProtoMessage{Extension: packed(t, &mq.MqMessageInformation{Expiry: -1})},
			func(*flow.Message) {},
		},
		{
			"it is a request", &gateway.ProtoMessage{Extension: packed(t, &mq.MqMessageInformation{MessageType: mq.MqMessageInformation_DATAGRAM})},
			func(*flow.Message) {},
		},
		{
			"the reply address is no destination", &gateway.ProtoMessage{SystemHeaders: map[string]string{"ReplyToQ": "replies", "ReplyToQMgr": "qm2"}},
			func(m *flow.Message) { m.ReplyTo, m.ReplyToManager = "replies", "qm2" },
		},
		{
			"the extension is one", &gateway.ProtoMessage{Extension: packed(t, &mq.MqMessageInformation{DestinationQueue: "ext", DestinationManager: "qm2"})},
			func(m *flow.Message) { m.To = flow.Address{Key: "ext", Manager: "qm2"} },
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			o := options()
			o.CustomDestination, o.Tag, o.MaxProcessingTime = true, "gw1", time.Minute
			got, err := mapping.NewOutbound(o).Request(tt.in, nil)
			if err != nil {
				t.Fatal(err)
			}
			want := plain()
			want.ID, want.CorrelID, want.Type, want.Expiry = "gw1.made", "gw1.made", flow.Request, time.Minute
			tt.want(want)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("message (-want +got):\n%s", diff)
			}
		})
	}
}

func TestIDsOfRequests(t *testing.T) {
	t.Parallel()
	m, err := mapping.NewOutbound(mapping.OutboundOptions{SendQueue: "out", Tag: "gw1"}).Request(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{m.ID, m.CorrelID} {
		rest, ok := strings.CutPrefix(id, "gw1.")
		if parsed, err := uuid.Parse(rest); !ok || err != nil || parsed.Version() != 7 {
			t.Errorf("id = %q, want the tag and a UUID of version 7", id)
		}
	}
	if m.ID == m.CorrelID {
		t.Errorf("both ids are %q", m.ID)
	}
	if m.Expiry != 30*time.Second {
		t.Errorf("expiry = %s, want 30s where nothing is configured", m.Expiry)
	}
}

func TestRequestsThatCannotBeSent(t *testing.T) {
	t.Parallel()
	for want, in := range map[string]*gateway.ProtoMessage{
		"messageId: 256 bytes":     {MessageId: strings.Repeat("x", 256)},
		"correlationId: 256 bytes": {CorrelationId: strings.Repeat("x", 256)},
		`systemHeaders["Expiry"]`:  {SystemHeaders: map[string]string{"Expiry": "-2"}},
		"mq.connection.sendQueue":  {},
	} {
		o := options()
		o.SendQueue = ""
		if _, err := mapping.NewOutbound(o).Request(in, nil); flow.CodeOf(err) != flow.BadMessage || !strings.Contains(err.Error(), want) {
			t.Errorf("error = %d %v, want 606 with %q", flow.CodeOf(err), err, want)
		}
	}
}
