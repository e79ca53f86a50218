package jetstream

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"time"

	"mqgateway/internal/flow"
)

// The envelope holds the properties and headers of a message:
//
//	version (1), then fields: tag, length, that many bytes
//
// Fields that are not set are left out, those of unknown tags are skipped, so
// that instances of several versions can share a queue.
const envelopeVersion = 1

// The tags of the fields. They are part of the wire format.
const (
	tagID byte = iota + 1
	tagCorrelID
	tagReplyTo
	tagReplyToManager
	tagExpiry
	tagPriority
	tagPersistence
	tagType
	tagJMSType
	tagTimestamp
	tagUserID
	tagAppID
	tagContentType
	tagContentEncoding
	tagHeader
)

// appendEnvelope writes the envelope of m. A header that can't be written is a
// [flow.BadMessage].
func appendEnvelope(buf []byte, m *flow.Message) ([]byte, error) {
	buf = append(buf, envelopeVersion)
	buf = appendTextField(buf, tagID, m.ID)
	buf = appendTextField(buf, tagCorrelID, m.CorrelID)
	buf = appendTextField(buf, tagReplyTo, m.ReplyTo)
	buf = appendTextField(buf, tagReplyToManager, m.ReplyToManager)
	buf = appendNumberField(buf, tagExpiry, uint64(max(m.Expiry, 0)))
	buf = appendNumberField(buf, tagPriority, uint64(m.Priority))
	buf = appendNumberField(buf, tagPersistence, uint64(m.Persistence))
	buf = appendNumberField(buf, tagType, uint64(m.Type))
	buf = appendTextField(buf, tagJMSType, m.JMSType)
	if !m.Timestamp.IsZero() {
		buf = closeField(appendTime(openField(buf, tagTimestamp), m.Timestamp), len(buf))
	}
	buf = appendTextField(buf, tagUserID, m.UserID)
	buf = appendTextField(buf, tagAppID, m.AppID)
	buf = appendTextField(buf, tagContentType, m.ContentType)
	buf = appendTextField(buf, tagContentEncoding, m.ContentEncoding)
	for _, h := range m.Headers {
		start := len(buf)
		long, err := appendValue(appendText(openField(buf, tagHeader), h.Name), h.Value, 0)
		if err != nil {
			return nil, flow.Errorf(flow.BadMessage, "header %q: %w", h.Name, err)
		}
		buf = closeField(long, start)
	}
	return buf, nil
}

func appendTextField(buf []byte, tag byte, text string) []byte {
	if text == "" {
		return buf
	}
	return appendText(append(buf, tag), text)
}

func appendNumberField(buf []byte, tag byte, n uint64) []byte {
	if n == 0 {
		return buf
	}
	return closeField(binary.AppendUvarint(openField(buf, tag), n), len(buf))
}

// openField begins a field whose length is known later; closeField, given where
// it began, writes that.
func openField(buf []byte, tag byte) []byte { return append(buf, tag, 0) }

func closeField(buf []byte, start int) []byte {
	content := start + 2
	n := len(buf) - content
	if n < 0x80 {
		buf[start+1] = byte(n)
		return buf
	}
	return slices.Replace(buf, start+1, content, binary.AppendUvarint(nil, uint64(n))...)
}

// readEnvelope sets what the envelope holds.
func readEnvelope(data []byte, m *flow.Message) error {
	r := newReader(data)
	if version := r.byte(); version != envelopeVersion {
		return fmt.Errorf("envelope has version %d, only %d is known", version, envelopeVersion)
	}
	for len(r.data) > 0 && r.err == nil {
		tag := r.byte()
		field := r.part(r.uvarint())
		field.set(tag, m)
		if field.err != nil {
			r.fail(field.err)
		}
	}
	if r.err != nil {
		return fmt.Errorf("envelope %w", r.err)
	}
	return nil
}

// set sets the property of the tag.
func (r *reader) set(tag byte, m *flow.Message) {
	switch tag {
	case tagExpiry:
		m.Expiry = time.Duration(min(r.uvarint(), math.MaxInt64))
	case tagPriority:
		m.Priority = uint8(r.uvarint())
	case tagPersistence:
		m.Persistence = flow.Persistence(r.uvarint())
	case tagType:
		m.Type = flow.MessageType(r.uvarint())
	case tagTimestamp:
		m.Timestamp = r.time()
	case tagHeader:
		m.Headers = append(m.Headers, flow.Header{Name: r.string(), Value: r.value(0)})
	default:
		if property := textProperty(tag, m); property != nil {
			*property = r.text
		}
	}
}

// textProperty is the property of the tag, nil for one that is not known.
func textProperty(tag byte, m *flow.Message) *string {
	switch tag {
	case tagID:
		return &m.ID
	case tagCorrelID:
		return &m.CorrelID
	case tagReplyTo:
		return &m.ReplyTo
	case tagReplyToManager:
		return &m.ReplyToManager
	case tagJMSType:
		return &m.JMSType
	case tagUserID:
		return &m.UserID
	case tagAppID:
		return &m.AppID
	case tagContentType:
		return &m.ContentType
	case tagContentEncoding:
		return &m.ContentEncoding
	default:
		return nil
	}
}
