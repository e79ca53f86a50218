package flow_test

import (
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"mqgateway/internal/flow"
)

// putAt is when the messages of these tests were put.
var putAt = time.Date(2026, 3, 1, 12, 30, 45, 0, time.UTC)

// properties has a row for each property: a message that has it, its text, and
// what writing the text sets; nil is read only.
var properties = []struct {
	name    string
	message flow.Message
	text    string
	written *flow.Message
}{
	{"MsgId", flow.Message{ID: "m-1"}, "m-1", &flow.Message{ID: "m-1"}},
	{"CorrelId", flow.Message{CorrelID: "c-1"}, "c-1", &flow.Message{CorrelID: "c-1"}},
	{"ReplyToQ", flow.Message{ReplyTo: "replies"}, "replies", &flow.Message{ReplyTo: "replies"}},
	{"ReplyToQMgr", flow.Message{ReplyToManager: "qm1"}, "qm1", &flow.Message{ReplyToManager: "qm1"}},
	{"Expiry", flow.Message{Expiry: 30 * time.Second}, "30000", &flow.Message{Expiry: 30 * time.Second}},
	{"Priority", flow.Message{Priority: 255}, "255", &flow.Message{Priority: 255}},
	{"Persistence", flow.Message{Persistence: flow.Persistent}, "2", &flow.Message{Persistence: flow.Persistent}},
	{"MsgType", flow.Message{Type: flow.Report}, "4", &flow.Message{Type: flow.Report}},
	{"Type", flow.Message{JMSType: "order"}, "order", &flow.Message{JMSType: "order"}},
	{"PutDateTime", flow.Message{Timestamp: putAt.In(time.FixedZone("", 3*3600))}, "2026-03-01T12:30:45Z", &flow.Message{Timestamp: putAt}},
	{"UserIdentifier", flow.Message{UserID: "guest"}, "guest", &flow.Message{UserID: "guest"}},
	{"PutApplName", flow.Message{AppID: "billing"}, "billing", &flow.Message{AppID: "billing"}},
	{"ContentType", flow.Message{ContentType: "text/xml"}, "text/xml", &flow.Message{ContentType: "text/xml"}},
	{"ContentEncoding", flow.Message{ContentEncoding: "gzip"}, "gzip", &flow.Message{ContentEncoding: "gzip"}},
	{"BackoutCount", flow.Message{Source: flow.Source{Queue: "q", Deliveries: 3}}, "3", nil},
	{"Redelivered", flow.Message{Source: flow.Source{Queue: "q", Redelivered: true}}, "true", nil},
	{"SourceQueue", flow.Message{Source: flow.Source{Queue: "orders.in"}}, "orders.in", nil},
	{"SourceManager", flow.Message{Source: flow.Source{Manager: "qm2"}}, "qm2", nil},
	{"Exchange", flow.Message{Source: flow.Source{Exchange: "amq.topic"}}, "amq.topic", nil},
	{"RoutingKey", flow.Message{Source: flow.Source{RoutingKey: "a.b"}}, "a.b", nil},
}

func TestEveryPropertyIsReadAndWritten(t *testing.T) {
	t.Parallel()
	if len(properties) != len(flow.Properties) {
		t.Fatalf("%d properties are tested, the table has %d", len(properties), len(flow.Properties))
	}
	for i, tt := range properties {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := flow.Properties[i]
			if p.Name != tt.name {
				t.Fatalf("property %d is %s, want %s", i, p.Name, tt.name)
			}
			if got := p.Text(&tt.message); got != tt.text {
				t.Errorf("text = %q, want %q", got, tt.text)
			}
			if got := p.Text(new(flow.Message)); got != "" {
				t.Errorf("text of an empty message = %q, want none", got)
			}
			if p.ReadOnly != (tt.written == nil) || p.ReadOnly != (p.Set == nil) {
				t.Fatalf("read only = %t, want %t", p.ReadOnly, tt.written == nil)
			}
			if p.ReadOnly {
				return
			}
			var got flow.Message
			if err := p.Set(&got, tt.text); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(*tt.written, got); diff != "" {
				t.Errorf("after writing %q (-want +got):\n%s", tt.text, diff)
			}
		})
	}
}

func TestNamesAreFoundWithoutCase(t *testing.T) {
	t.Parallel()
	aliases := map[string]string{
		"JMSMessageID": "MsgId", "messageId": "MsgId",
		"JMSCorrelationID": "CorrelId", "correlationId": "CorrelId",
		"JMSReplyTo": "ReplyToQ", "replyTo": "ReplyToQ", "replyToManager": "ReplyToQMgr",
		"expiration": "Expiry", "JMSPriority": "Priority",
		"JMSDeliveryMode": "Persistence", "deliveryMode": "Persistence",
		"JMSType": "Type", "jmsType": "Type", "JMSTimestamp": "PutDateTime", "timestamp": "PutDateTime",
		"JMSXUserID": "UserIdentifier", "userId": "UserIdentifier", "JMSXAppID": "PutApplName", "appId": "PutApplName",
		"Format": "ContentType", "contentType": "ContentType", "contentEncoding": "ContentEncoding",
		"JMSXDeliveryCount": "BackoutCount", "deliveryCount": "BackoutCount", "JMSRedelivered": "Redelivered",
	}
	for _, p := range flow.Properties {
		aliases[p.Name] = p.Name
	}
	for alias, want := range aliases {
		for _, name := range []string{alias, strings.ToLower(alias), strings.ToUpper(alias)} {
			if p, ok := flow.PropertyByName(name); !ok || p.Name != want {
				t.Errorf("PropertyByName(%q) = %v, want %s", name, p, want)
			}
		}
	}
	for _, name := range []string{"", "PutDate", "Report", "x-amount"} {
		if p, ok := flow.PropertyByName(name); ok {
			t.Errorf("PropertyByName(%q) = %s, want none", name, p.Name)
		}
	}
}

func TestForeignPropertiesAreKnown(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"PutDate", "PutTime", "Report", "CodedCharSetId", "codedcharsetid", "GROUPID"} {
		if !flow.ForeignProperty(name) {
			t.Errorf("ForeignProperty(%q) = false, want true", name)
		}
	}
	for _, name := range []string{"MsgId", "Unheard"} {
		if flow.ForeignProperty(name) {
			t.Errorf("ForeignProperty(%q) = true, want false", name)
		}
	}
}

func TestWritingTextForms(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, property, text string
		want                 flow.Message
	}{
		{"a JMS queue", "JMSReplyTo", "queue://QM1/REPLIES?targetClient=1", flow.Message{ReplyTo: "REPLIES", ReplyToManager: "QM1"}},
		{"a JMS queue of any manager", "ReplyToQ", "queue:///REPLIES", flow.Message{ReplyTo: "REPLIES"}},
		{"an exchange to reply to", "ReplyToQ", "exchange:x/key", flow.Message{ReplyTo: "exchange:x/key"}},
		{"expiry for ever", "Expiry", "-1", flow.Message{}},
		{"expiry 0", "Expiry", "0", flow.Message{}},
		{"the longest expiry", "Expiry", "4294967295", flow.Message{Expiry: flow.MaxExpiry}},
		{"JMS expiration never", "JMSExpiration", "0", flow.Message{}},
		{"priority 0", "Priority", "0", flow.Message{}},
		{"persistence 0", "Persistence", "0", flow.Message{}},
		{"type 0", "MsgType", "0", flow.Message{}},
		{"datagram", "MsgType", "8", flow.Message{Type: flow.Datagram}},
		{"a JMS timestamp", "JMSTimestamp", "1772368245000", flow.Message{Timestamp: putAt}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p, _ := flow.PropertyByName(tt.property)
			var got flow.Message
			if err := p.Set(&got, tt.text); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("after writing %q (-want +got):\n%s", tt.text, diff)
			}
		})
	}
}

func TestWritingRefusesWhatIsNoSuchValue(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ property, text string }{
		{"ReplyToQ", "queue://QM1"},
		{"ReplyToQ", "queue://QM1/"},
		{"Expiry", "-2"},
		{"Expiry", "4294967296"},
		{"Expiry", "1.5"},
		{"Expiry", "soon"},
		{"JMSExpiration", "-1"},
		{"JMSExpiration", "tomorrow"},
		{"Priority", "256"},
		{"Priority", "-1"},
		{"Priority", "high"},
		{"Persistence", "3"},
		{"MsgType", "3"},
		{"MsgType", "16"},
		{"PutDateTime", "yesterday"},
	} {
		t.Run(tt.property+" "+tt.text, func(t *testing.T) {
			t.Parallel()
			p, _ := flow.PropertyByName(tt.property)
			err := p.Set(new(flow.Message), tt.text)
			if err == nil || !strings.Contains(err.Error(), tt.text) {
				t.Errorf("error = %v, want one that quotes %q", err, tt.text)
			}
		})
	}
}

func TestTheJMSExpirationIsAnInstant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, _ := flow.PropertyByName("JMSExpiration")
		for _, tt := range []struct {
			in, want time.Duration
		}{
			{time.Minute, time.Minute},
			{-time.Hour, time.Millisecond}, // It ended, and 0 would be for ever.
			{100 * 365 * 24 * time.Hour, flow.MaxExpiry},
		} {
			m := flow.Message{Timestamp: time.Now()}
			if err := p.Set(&m, strconv.FormatInt(time.Now().Add(tt.in).UnixMilli(), 10)); err != nil {
				t.Fatal(err)
			}
			if m.Expiry != tt.want {
				t.Errorf("expiry of an instant in %s = %s, want %s", tt.in, m.Expiry, tt.want)
			}
		}
		m := flow.Message{Timestamp: time.UnixMilli(1_000), Expiry: 500 * time.Millisecond}
		if got := p.Text(&m); got != "1500" {
			t.Errorf("text = %q, want 1500", got)
		}
	})
}

func TestWhatAQueueMessageHasWithoutItsSender(t *testing.T) {
	t.Parallel()
	source := flow.Source{Queue: "orders.in", Manager: "qm1"}
	for _, tt := range []struct {
		name     string
		message  flow.Message
		property string
		want     string
	}{
		{"a message with a reply address is a request", flow.Message{Source: source, ReplyTo: "r"}, "MsgType", "1"},
		{"another is a datagram", flow.Message{Source: source}, "MsgType", "8"},
		{"replies go to the manager that was read from", flow.Message{Source: source, ReplyTo: "r"}, "ReplyToQMgr", "qm1"},
		{"but for one that the sender names", flow.Message{Source: source, ReplyTo: "r", ReplyToManager: "qm2"}, "ReplyToQMgr", "qm2"},
		{"or one in the JMS form", flow.Message{Source: source, ReplyTo: "queue://qm3/r"}, "ReplyToQMgr", "qm3"},
		{"whose queue stands alone", flow.Message{Source: source, ReplyTo: "queue://qm3/r?persistence=2"}, "ReplyToQ", "r"},
		{"no reply address, no manager for it", flow.Message{Source: source}, "ReplyToQMgr", ""},
		{"a first delivery", flow.Message{Source: source}, "BackoutCount", "0"},
		{"and not again", flow.Message{Source: source}, "Redelivered", "false"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p, _ := flow.PropertyByName(tt.property)
			if got := p.Text(&tt.message); got != tt.want {
				t.Errorf("%s = %q, want %q", tt.property, got, tt.want)
			}
		})
	}
}
