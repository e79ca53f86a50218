package mqtest

import (
	"bytes"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"mqgateway/internal/flow"
	"mqgateway/internal/mq"
)

var contentRules = []rule{
	{
		name:    "content is kept",
		explain: "whatever was published and confirmed is received with the same body, properties and headers, and Publish does not change the message",
		check:   contentIsKept,
	},
	{
		name:    "foreign messages are read",
		explain: "a message of a program that knows nothing of the gateway is received with its body and its headers",
		check:   foreignMessages,
	},
	{
		name:    "the source is told",
		explain: "a delivery tells the queue that it was read from, and that it is the first one",
		check:   sourceIsTold,
	},
}

// contents are messages by what is special about them, which is their id.
func contents(f *fixture) []flow.Message {
	everyByte := make([]byte, 256)
	for i := range everyByte {
		everyByte[i] = byte(i)
	}
	all := []flow.Message{
		{ID: "nothing but an id"},
		{ID: "body of every byte", Body: everyByte},
		{ID: "body of 1 MiB", Body: bytes.Repeat([]byte("0123456789abcdef"), 1<<16)},
		{ID: "body in Cyrillic", Body: []byte("Съешь ещё этих мягких французских булок")},
		{ID: "empty body with a type", ContentType: "text/plain"},
		everyProperty(f.features.UserID),
		{ID: "nested headers", Headers: []flow.Header{
			{Name: "table", Value: map[string]any{"a": int32(1), "b": map[string]any{"c": []any{"x", nil, true}}}},
			{Name: "array", Value: []any{int64(1), "two", 3.0, []any{}, map[string]any{}}},
		}},
	}
	for _, h := range everyHeader() {
		all = append(all, flow.Message{ID: "header " + h.Name, Headers: []flow.Header{h}})
	}
	return all
}

func everyProperty(user string) flow.Message {
	if user == "" {
		user = "somebody"
	}
	return flow.Message{
		ID: "every property", CorrelID: "корреляция", ReplyTo: "replies.in", ReplyToManager: "manager-2",
		Expiry: time.Hour + time.Millisecond, Priority: 5, Persistence: flow.Persistent, Type: flow.Request,
		JMSType: "order", Timestamp: time.Date(2024, 2, 29, 23, 59, 59, 0, time.UTC),
		UserID: user, AppID: "app", ContentType: "application/json; charset=utf-8", ContentEncoding: "gzip",
		Headers: []flow.Header{{Name: "one", Value: "1"}, {Name: "Two", Value: "2"}, {Name: "три", Value: "3"}},
		Body:    []byte("{}"),
	}
}

// everyHeader has a header for each wire type, and for values at their ends.
func everyHeader() []flow.Header {
	return []flow.Header{
		{Name: "nil", Value: nil},
		{Name: "false", Value: false},
		{Name: "true", Value: true},
		{Name: "text", Value: "text"},
		{Name: "empty text", Value: ""},
		{Name: "text in Cyrillic", Value: "Ёж"},
		{Name: "text of 20 KB", Value: strings.Repeat("x", 20_000)},
		{Name: "text in two lines", Value: "a\r\nb"},
		{Name: "text that is not UTF-8", Value: "a\xffb"},
		{Name: "bytes", Value: []byte{0, 1, 0xff}},
		{Name: "time", Value: time.Unix(1_700_000_000, 0).UTC()},
		{Name: "decimal", Value: flow.Decimal{Scale: 2, Value: 12_345}},
		{Name: "int8", Value: int8(math.MinInt8)},
		{Name: "int16", Value: int16(math.MinInt16)},
		{Name: "int32", Value: int32(math.MinInt32)},
		{Name: "int64", Value: int64(math.MinInt64)},
		{Name: "uint8", Value: uint8(math.MaxUint8)},
		{Name: "uint16", Value: uint16(math.MaxUint16)},
		{Name: "uint32", Value: uint32(math.MaxUint32)},
		{Name: "uint64", Value: uint64(math.MaxInt64)},
		{Name: "float32", Value: float32(-1.5)},
		{Name: "float64", Value: math.SmallestNonzeroFloat64},
	}
}

func contentIsKept(f *fixture) {
	b, queue := f.open(), f.queue()
	sent := map[string]flow.Message{}
	for _, m := range contents(f) {
		before := copied(m)
		if err := b.Publish(f.ctx(), to(queue), &m); err != nil {
			f.Errorf("publishing %q: %v", m.ID, err)
			continue
		}
		if diff := cmp.Diff(before, m, alike); diff != "" {
			f.Errorf("%q was changed by Publish (-before +after):\n%s", m.ID, diff)
		}
		sent[m.ID] = before
	}
	s := f.subscribe(b, queue, len(sent))
	for id, d := range f.receiveAll(s, len(sent)) {
		f.equal(sent[id], d.Message)
		f.settle(d, mq.Ack)
	}
	f.close(s)
	f.holds(queue, 0)
}

// alike lets nothing be nothing, nil or empty, and compares a body at once.
var alike = cmp.Options{
	cmpopts.EquateEmpty(),
	cmp.FilterValues(func(a, b []byte) bool { return len(a)+len(b) > 0 }, cmp.Comparer(bytes.Equal)),
}

// equal compares what a sender sent with what was received.
func (f *fixture) equal(want, got flow.Message) {
	f.Helper()
	want = f.received(want)
	if want.Persistence == 0 && got.Persistence == flow.Persistent {
		want.Persistence = flow.Persistent // what a driver may make of no wish
	}
	got.Source, got.Headers = flow.Source{}, named(want, got.Headers)
	if diff := cmp.Diff(want, got, alike); diff != "" {
		f.Errorf("%q was received otherwise than sent (-sent +received):\n%s", want.ID, diff)
	}
}

// received is m as it has to be received.
func (f *fixture) received(m flow.Message) flow.Message {
	m = copied(m)
	for i, h := range m.Headers {
		m.Headers[i].Value = f.receivedValue(h.Value)
	}
	return m
}

func (f *fixture) receivedValue(value any) any {
	switch v := value.(type) {
	case map[string]any:
		for name := range v {
			v[name] = f.receivedValue(v[name])
		}
		return v
	case []any:
		for i := range v {
			v[i] = f.receivedValue(v[i])
		}
		return v
	}
	if f.features.Received == nil {
		return value
	}
	return f.features.Received(value)
}

// named keeps the headers that were sent, in their order; brokers add their own.
func named(sent flow.Message, headers []flow.Header) []flow.Header {
	kept := []flow.Header(nil)
	for _, s := range sent.Headers {
		if i := slices.IndexFunc(headers, func(h flow.Header) bool { return h.Name == s.Name }); i >= 0 {
			kept = append(kept, headers[i])
		}
	}
	return kept
}

// copied is a deep copy, so that changes to the original can be seen.
func copied(m flow.Message) flow.Message {
	m.Body = bytes.Clone(m.Body)
	m.Headers = slices.Clone(m.Headers)
	for i, h := range m.Headers {
		m.Headers[i].Value = copiedValue(h.Value)
	}
	return m
}

func copiedValue(value any) any {
	switch v := value.(type) {
	case map[string]any:
		c := make(map[string]any, len(v))
		for name := range v {
			c[name] = copiedValue(v[name])
		}
		return c
	case []any:
		c := make([]any, len(v))
		for i := range v {
			c[i] = copiedValue(v[i])
		}
		return c
	case []byte:
		return bytes.Clone(v)
	default:
		return v
	}
}

func foreignMessages(f *fixture) {
	b, queue := f.open(), f.queue()
	headers := map[string]string{"one": "1", "Two": "zwei"}
	f.h.Put(f.T, queue, "Привет", headers)
	d := f.receive(f.subscribe(b, queue, 1))
	if got := string(d.Message.Body); got != "Привет" {
		f.Errorf("body = %q, want %q", got, "Привет")
	}
	for name, want := range headers {
		i := slices.IndexFunc(d.Message.Headers, func(h flow.Header) bool { return h.Name == name })
		if i < 0 {
			f.Errorf("header %q is missing in %v", name, d.Message.Headers)
			continue
		}
		if got := d.Message.Headers[i].Value; got != want {
			f.Errorf("header %q = %v, want %q", name, got, want)
		}
	}
	f.settle(d, mq.Ack)
	f.holds(queue, 0)
}

func sourceIsTold(f *fixture) {
	b, queue := f.open(), f.queue()
	f.publish(b, queue, "m")
	source := f.receive(f.subscribe(b, queue, 1)).Message.Source
	if source.Queue != queue || source.RoutingKey != queue || source.Exchange != "" || source.Redelivered || source.Deliveries != 0 {
		f.Errorf("source = %+v, want queue and routing key %q, and the first delivery", source, queue)
	}
}
