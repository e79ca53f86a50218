package mapping

import (
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"

	"mqgateway/internal/flow"
)

// The fields of ProtoMessage, of an entry of its maps, of its extension, and of
// MqMessageInformation.
const (
	fieldMessageID     = 1
	fieldCorrelationID = 2
	fieldSystemHeaders = 3
	fieldUserHeaders   = 4
	fieldBody          = 14
	fieldExtension     = 15

	fieldKey   = 1
	fieldValue = 2

	fieldTypeURL = 1
	fieldPacked  = 2

	fieldMessageType   = 1
	fieldPriority      = 2
	fieldDeliveryMode  = 3
	fieldExpiry        = 4
	fieldSourceQueue   = 7
	fieldSourceManager = 8
	fieldJMSType       = 9
)

// AppendProto appends the ProtoMessage that [ToProto] makes, encoded. It spares
// the message between, whose maps cost several times what the rest does: the
// protobuf library reads maps by reflection, once for the size and once for the
// content.
func AppendProto(out []byte, m *flow.Message) ([]byte, error) {
	if !utf8.Valid(m.Body) {
		return nil, flow.Errorf(flow.BadMessage, "body is not UTF-8")
	}
	out = appendText(out, fieldMessageID, m.ID)
	out = appendText(out, fieldCorrelationID, m.CorrelID)
	for name, text := range systemHeaders(m) {
		if !utf8.ValidString(text) {
			return nil, flow.Errorf(flow.BadMessage, "property %s is not UTF-8", name)
		}
		out = appendEntry(out, fieldSystemHeaders, name, text)
	}
	for name, text := range userHeaders(m) {
		if !utf8.ValidString(name) || !utf8.ValidString(text) {
			return nil, flow.Errorf(flow.BadMessage, "user header %.80q is not UTF-8; bytes have to be sent as a byte array", name)
		}
		out = appendEntry(out, fieldUserHeaders, name, text)
	}
	out = appendBytes(out, fieldBody, m.Body)
	return appendExtension(out, m), nil
}

// appendText leaves an empty text out, which is how it is encoded.
func appendText(out []byte, field protowire.Number, text string) []byte {
	if text == "" {
		return out
	}
	return appendString(out, field, text)
}

// appendBytes leaves empty bytes out, too.
func appendBytes(out []byte, field protowire.Number, b []byte) []byte {
	if len(b) == 0 {
		return out
	}
	return protowire.AppendBytes(protowire.AppendTag(out, field, protowire.BytesType), b)
}

func appendString(out []byte, field protowire.Number, text string) []byte {
	return protowire.AppendString(protowire.AppendTag(out, field, protowire.BytesType), text)
}

// appendEntry appends an entry of a map, which has both parts always.
func appendEntry(out []byte, field protowire.Number, key, value string) []byte {
	size := sizeOfText(fieldKey, key) + sizeOfText(fieldValue, value)
	out = protowire.AppendTag(out, field, protowire.BytesType)
	out = protowire.AppendVarint(out, uint64(size))
	return appendString(appendString(out, fieldKey, key), fieldValue, value)
}

func sizeOfText(field protowire.Number, text string) int {
	return protowire.SizeTag(field) + protowire.SizeBytes(len(text))
}

// appendExtension appends the typed half of the properties.
func appendExtension(out []byte, m *flow.Message) []byte {
	var space [256]byte // enough for most
	information := appendInformation(space[:0], m)
	size := sizeOfText(fieldTypeURL, informationURL)
	if len(information) > 0 {
		size += protowire.SizeTag(fieldPacked) + protowire.SizeBytes(len(information))
	}
	out = protowire.AppendTag(out, fieldExtension, protowire.BytesType)
	out = protowire.AppendVarint(out, uint64(size))
	return appendBytes(appendString(out, fieldTypeURL, informationURL), fieldPacked, information)
}

func appendInformation(out []byte, m *flow.Message) []byte {
	out = appendNumber(out, fieldMessageType, int64(flow.MessageTypeOf(m)))
	out = appendNumber(out, fieldPriority, int64(m.Priority))
	out = appendNumber(out, fieldDeliveryMode, int64(m.Persistence))
	out = appendNumber(out, fieldExpiry, m.Expiry.Milliseconds())
	out = appendText(out, fieldSourceQueue, m.Source.Queue)
	out = appendText(out, fieldSourceManager, m.Source.Manager)
	return appendText(out, fieldJMSType, m.JMSType)
}

// appendNumber leaves 0 out, which is how it is encoded.
func appendNumber(out []byte, field protowire.Number, n int64) []byte {
	if n == 0 {
		return out
	}
	return protowire.AppendVarint(protowire.AppendTag(out, field, protowire.VarintType), uint64(n))
}
