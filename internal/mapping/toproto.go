package mapping

import (
	"iter"

	"google.golang.org/protobuf/proto"

	"mqgateway/api/proto/gateway"
	"mqgateway/internal/flow"
)

// ToProto makes the ProtoMessage that a microservice gets. The body of m has to
// be text already (see [Text]). A text that is not UTF-8 can't travel in a
// ProtoMessage and is BadMessage.
func ToProto(m *flow.Message) (*gateway.ProtoMessage, error) {
	encoded, err := AppendProto(nil, m)
	if err != nil {
		return nil, err
	}
	p := new(gateway.ProtoMessage)
	if err := proto.Unmarshal(encoded, p); err != nil {
		return nil, flow.Errorf(flow.Internal, "decoding the ProtoMessage of message %q: %w", m.ID, err)
	}
	return p, nil
}

// systemHeaders are the properties that are set, by their canonical names.
func systemHeaders(m *flow.Message) iter.Seq2[string, string] {
	return func(yield func(name, text string) bool) {
		for i := range flow.Properties {
			p := &flow.Properties[i]
			if text := p.Text(m); text != "" && !yield(p.Name, text) {
				return
			}
		}
	}
}

// userHeaders are the application's headers as text. Of several headers with one
// name the last one counts, as for all maps.
func userHeaders(m *flow.Message) iter.Seq2[string, string] {
	return func(yield func(name, text string) bool) {
		for _, h := range m.Headers {
			if !h.Reserved() && !yield(h.Name, h.Text()) {
				return
			}
		}
	}
}
