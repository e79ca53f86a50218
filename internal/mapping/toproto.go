package mapping

import (
	"unicode/utf8"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"mqgateway/api/proto/gateway"
	"mqgateway/api/proto/gateway/mq"
	"mqgateway/internal/flow"
)

// ToProto makes the ProtoMessage that a microservice gets. The body of m has to
// be text already (see [Text]). A text that is not UTF-8 can't travel in a
// ProtoMessage and is BadMessage.
func ToProto(m *flow.Message) (*gateway.ProtoMessage, error) {
	if !utf8.Valid(m.Body) {
		return nil, flow.Errorf(flow.BadMessage, "body is not UTF-8")
	}
	system, err := systemHeaders(m)
	if err != nil {
		return nil, err
	}
	user, err := userHeaders(m)
	if err != nil {
		return nil, err
	}
	extension, err := packExtension(m)
	if err != nil {
		return nil, err
	}
	return &gateway.ProtoMessage{
		MessageId:     m.ID,
		CorrelationId: m.CorrelID,
		Body:          string(m.Body),
		SystemHeaders: system,
		UserHeaders:   user,
		Extension:     extension,
	}, nil
}

// systemHeaders are the properties that are set, by their canonical names.
func systemHeaders(m *flow.Message) (map[string]string, error) {
	headers := make(map[string]string, len(flow.Properties))
	for i := range flow.Properties {
		p := &flow.Properties[i]
		text := p.Text(m)
		if text == "" {
			continue
		}
		if !utf8.ValidString(text) {
			return nil, flow.Errorf(flow.BadMessage, "property %s is not UTF-8", p.Name)
		}
		headers[p.Name] = text
	}
	return headers, nil
}

// userHeaders are the application's headers as text. Of several headers with one
// name the last one stays.
func userHeaders(m *flow.Message) (map[string]string, error) {
	if len(m.Headers) == 0 {
		return nil, nil
	}
	headers := make(map[string]string, len(m.Headers))
	for _, h := range m.Headers {
		if h.Reserved() {
			continue
		}
		text := h.Text()
		if !utf8.ValidString(h.Name) || !utf8.ValidString(text) {
			return nil, flow.Errorf(flow.BadMessage, "user header %.80q is not UTF-8; bytes have to be sent as a byte array", h.Name)
		}
		headers[h.Name] = text
	}
	return headers, nil
}

// packExtension makes the typed half of the properties.
func packExtension(m *flow.Message) (*anypb.Any, error) {
	packed, err := proto.Marshal(&mq.MqMessageInformation{
		MessageType:   mq.MqMessageInformation_MessageType(flow.MessageTypeOf(m)),
		Priority:      int32(m.Priority),
		DeliveryMode:  mq.MqMessageInformation_DeliveryMode(m.Persistence),
		Expiry:        m.Expiry.Milliseconds(),
		SourceQueue:   m.Source.Queue,
		SourceManager: m.Source.Manager,
		JmsType:       m.JMSType,
	})
	if err != nil {
		return nil, flow.Errorf(flow.Internal, "packing MqMessageInformation: %w", err)
	}
	return &anypb.Any{TypeUrl: informationURL, Value: packed}, nil
}
