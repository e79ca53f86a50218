package mqtest

import (
	"math"
	"strings"
	"time"

	"mqgateway/internal/flow"
	"mqgateway/internal/mq"
)

var poisonRules = []rule{
	{
		name:    "poison is refused or kept",
		explain: "a message of any content is either refused as BadMessage or received exactly as it was sent, and no other publish in flight is hurt by it",
		check:   poisonIsRefusedOrKept,
	},
	{
		name:    "unknown header types are refused",
		explain: "a header of a type that is not on the list of wire types is BadMessage",
		check:   unknownTypesAreRefused,
	},
}

// poison is what some brokers or their libraries can't take, and answer by
// ending a channel or a connection.
func poison() []flow.Message {
	long := strings.Repeat("x", 256)
	all := []flow.Message{
		{ID: long},
		{CorrelID: long},
		{ReplyTo: long},
		{ReplyTo: "amq.rabbitmq.reply-to"},
		{ReplyToManager: long},
		{JMSType: long},
		{AppID: long},
		{ContentType: long},
		{ContentEncoding: long},
		{UserID: "not the user of the connection"},
		{Expiry: flow.MaxExpiry},
		{Expiry: 10 * flow.MaxExpiry},
		{Timestamp: time.Unix(-1, 0).UTC()},
		{Headers: []flow.Header{{Name: strings.Repeat("n", 300), Value: "v"}}},
		{Headers: []flow.Header{{Name: "", Value: "v"}}},
		{Headers: []flow.Header{{Name: "CC", Value: "queue"}}},
		{Headers: []flow.Header{{Name: "BCC", Value: int32(1)}}},
		{Headers: []flow.Header{{Name: "x-delay", Value: "soon"}}},
		{Headers: []flow.Header{{Name: "x-death", Value: "never"}}},
		{Headers: []flow.Header{{Name: "70 KiB", Value: strings.Repeat("v", 70<<10)}}},
		{Headers: []flow.Header{{Name: "200 KiB", Value: strings.Repeat("v", 200<<10)}}},
		{Headers: []flow.Header{{Name: "above int64", Value: uint64(math.MaxUint64)}}},
		{Headers: []flow.Header{{Name: "infinity", Value: math.Inf(1)}}},
		{Headers: []flow.Header{{Name: "key", Value: map[string]any{strings.Repeat("k", 300): "v"}}}},
		{Headers: []flow.Header{{Name: "deep", Value: nest(100)}}},
		{Headers: manyHeaders(3000)},
	}
	for i := range all {
		all[i].Body = []byte("poison")
		if all[i].ID == "" {
			all[i].ID = "poison-" + ids(len(all))[i]
		}
	}
	return all
}

func nest(depth int) any {
	if depth == 0 {
		return "bottom"
	}
	return []any{nest(depth - 1)}
}

func manyHeaders(n int) []flow.Header {
	headers := make([]flow.Header, n)
	for i, id := range ids(n) {
		headers[i] = flow.Header{Name: id, Value: "a value of some length"}
	}
	return headers
}

func poisonIsRefusedOrKept(f *fixture) {
	b, queue, good := f.open(), f.queue(), f.queue()
	stop := f.background(b, good, 8)
	taken := map[string]flow.Message{}
	for _, m := range poison() {
		if f.takes(m, b.Publish(f.ctx(), to(queue), &m)) {
			taken[m.ID] = m
		}
	}
	confirmed := stop()
	f.holds(good, len(confirmed))
	f.keeps(b, queue, taken)
}

// takes tells that poison was sent; it may only be refused for what it is.
func (f *fixture) takes(m flow.Message, err error) bool {
	f.Helper()
	if err != nil && flow.CodeOf(err) != flow.BadMessage {
		f.Errorf("sending %s: %v (code %d), want nil or code %d", clip(m), err, flow.CodeOf(err), flow.BadMessage)
	}
	return err == nil
}

// keeps holds that a queue has exactly these messages, by their ids.
func (f *fixture) keeps(b mq.Broker, queue string, taken map[string]flow.Message) {
	f.Helper()
	s := f.subscribe(b, queue, len(taken)+1)
	for id, d := range f.receiveAll(s, len(taken)) {
		f.equal(taken[id], d.Message)
		f.settle(d, mq.Ack)
	}
	f.receiveNone(s)
}

// clip shows what is special about a poisonous message.
func clip(m flow.Message) string {
	text := m.ID
	if len(m.Headers) > 0 {
		text += " with header " + m.Headers[0].Name
	}
	return text[:min(len(text), 80)]
}

func unknownTypesAreRefused(f *fixture) {
	b, queue := f.open(), f.queue()
	type unknown struct{ A int }
	for _, value := range []any{unknown{1}, &unknown{1}, complex(1, 1), map[int]string{}, []string{"a"}, []any{unknown{}}, map[string]any{"a": unknown{}}} {
		m := message("m")
		m.Headers = []flow.Header{{Name: "h", Value: value}}
		if err := b.Publish(f.ctx(), to(queue), m); flow.CodeOf(err) != flow.BadMessage {
			f.Errorf("publishing a header of type %T: %v, want code %d", value, err, flow.BadMessage)
		}
	}
	f.publish(b, queue, "good")
	f.holds(queue, 1)
}
