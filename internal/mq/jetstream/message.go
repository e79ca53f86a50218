package jetstream

import (
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"mqgateway/internal/flow"
)

const (
	// envelopeHeader holds the envelope in base64, or, behind inBody, the number
	// of bytes that it takes at the beginning of the payload.
	envelopeHeader = "MQ-Envelope"
	inBody         = "@"
	// maxEnvelopeHeader keeps clear of the 64 KiB that JetStream allows for all headers.
	maxEnvelopeHeader = 48 << 10
)

var envelopeText = base64.RawStdEncoding

// encode makes the message that carries m to a queue.
func encode(queue string, m *flow.Message) (*nats.Msg, error) {
	envelope, err := appendEnvelope(make([]byte, 0, 512), m)
	if err != nil {
		return nil, err
	}
	msg := &nats.Msg{Subject: subjectName(queue), Data: m.Body, Header: make(nats.Header, 2)}
	switch n := len(envelope); {
	case n == 1: // its version: a message with nothing but a body is the same without
	case envelopeText.EncodedLen(n) <= maxEnvelopeHeader:
		msg.Header.Set(envelopeHeader, envelopeText.EncodeToString(envelope))
	default:
		msg.Header.Set(envelopeHeader, inBody+strconv.Itoa(len(envelope)))
		msg.Data = append(envelope, m.Body...)
	}
	if m.Expiry > 0 {
		msg.Header.Set(jetstream.MsgTTLHeader, timeToLive(m.Expiry))
	}
	return msg, nil
}

// timeToLive rounds up to whole seconds, which is what JetStream takes
// (https://docs.nats.io/nats-concepts/jetstream/headers#message-ttl).
func timeToLive(expiry time.Duration) string {
	seconds := int64((expiry + time.Second - 1) / time.Second)
	return strconv.FormatInt(seconds, 10) + "s"
}

// decode reads the message that was delivered. An envelope that can't be read
// makes it a message of some other client, and loses nothing.
func decode(msg *nats.Msg, meta *nats.MsgMetadata) flow.Message {
	m, err := decodeEnvelope(msg)
	if err != nil {
		m = flow.Message{Body: msg.Data, Headers: plainHeaders(msg.Header)}
	}
	if m.ID == "" {
		m.ID, m.IDMade = madeID(meta), true
	}
	return m
}

func decodeEnvelope(msg *nats.Msg) (flow.Message, error) {
	m := flow.Message{Body: msg.Data}
	text := msg.Header[envelopeHeader]
	if len(text) != 1 {
		return m, errors.New("there is no envelope")
	}
	if digits, ok := strings.CutPrefix(text[0], inBody); ok {
		n, err := strconv.Atoi(digits)
		if err != nil || n < 0 || n > len(msg.Data) {
			return m, fmt.Errorf("envelope of %q bytes is not in the payload", digits)
		}
		m.Body = msg.Data[n:]
		return m, readEnvelope(msg.Data[:n], &m)
	}
	envelope, err := envelopeText.DecodeString(text[0])
	if err != nil {
		return m, fmt.Errorf("envelope: %w", err)
	}
	return m, readEnvelope(envelope, &m)
}

// plainHeaders are the headers of a message that some other client published,
// without those that talk to the server.
func plainHeaders(header nats.Header) []flow.Header {
	var headers []flow.Header
	for name, values := range header {
		if strings.HasPrefix(name, "Nats-") {
			continue
		}
		h := flow.Header{Name: name}
		if len(values) == 1 {
			h.Value = values[0]
		} else {
			array := make([]any, len(values))
			for i, v := range values {
				array[i] = v
			}
			h.Value = array
		}
		headers = append(headers, h)
	}
	slices.SortFunc(headers, func(a, b flow.Header) int { return strings.Compare(a.Name, b.Name) })
	return headers
}

// idSpace is the namespace of the ids that madeID makes.
var idSpace = uuid.MustParse("5b1d8b3e-6c0f-4a57-9d0e-3f3f3c3a6c11")

// madeID is the same for every delivery of a message. The time tells messages
// apart that had the same number before and after their stream was made anew.
func madeID(meta *nats.MsgMetadata) string {
	name := make([]byte, 0, 128)
	name = append(append(name, meta.Stream...), '/')
	name = append(strconv.AppendUint(name, meta.Sequence.Stream, 10), '/')
	name = strconv.AppendInt(name, meta.Timestamp.UnixNano(), 10)
	return uuid.NewSHA1(idSpace, name).String()
}
