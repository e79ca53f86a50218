package mapping

import (
	"context"
	"unicode/utf8"

	"mqgateway/internal/flow"
)

// lengthKey is the configuration key that bounds messages read from a broker.
const lengthKey = "mq.maxMsgLength"

// defaultMaxLength is 100 KB.
const defaultMaxLength = 100 << 10

// Text makes the bodies of messages UTF-8 text. Its zero value is ready to use.
type Text struct {
	// MaxLength bounds a body in bytes, as it came, decompressed and decoded;
	// 0 is 100 KB.
	MaxLength int64
	// SkipDeclaration takes XML as UTF-8, whatever its declaration says.
	SkipDeclaration bool
}

// Middleware hands on messages whose body is UTF-8 text without compression and
// without a byte order mark, and whose content type and XML declaration say so.
// What it cannot decode strictly is refused with BadMessage. It replaces Body,
// ContentType and ContentEncoding of the message that it was given and never
// writes into the old body.
func (t Text) Middleware(next flow.Handler) flow.Handler {
	if t.MaxLength <= 0 {
		t.MaxLength = defaultMaxLength
	}
	return func(ctx context.Context, m *flow.Message) (*flow.Message, error) {
		if err := t.decode(m); err != nil {
			return nil, err
		}
		return next(ctx, m)
	}
}

// decode changes m only when all of it succeeds.
func (t Text) decode(m *flow.Message) error {
	if err := t.checkLength("message", len(m.Body)); err != nil {
		return err
	}
	body, encodingCharset, err := t.undoEncoding(m)
	if err != nil {
		return err
	}
	body, err = t.toUTF8(body, m.ContentType, encodingCharset)
	if err != nil {
		return err
	}
	m.Body = correctDeclaration(body)
	m.ContentType = correctCharset(m.ContentType)
	m.ContentEncoding = ""
	return nil
}

func (t Text) checkLength(what string, length int) error {
	if int64(length) > t.MaxLength {
		return flow.Errorf(flow.BadMessage, "%s of %d bytes is over the limit of %d (%s)", what, length, t.MaxLength, lengthKey)
	}
	return nil
}

// toUTF8 decodes body by the charset of its content type, else of its content
// encoding, else as the body itself tells.
func (t Text) toUTF8(body []byte, contentType, encodingCharset string) ([]byte, error) {
	charset, from := charsetOf(contentType), "content type"
	if charset == "" {
		charset, from = encodingCharset, "content encoding"
	}
	mark := markOf(body)
	switch {
	case charset == "" && mark.charset != "":
		charset, from = mark.charset, "byte order mark"
	case charset == "":
		charset, from = t.ownCharset(body), "XML declaration"
	}
	charset, body = applyMark(charset, mark, body)
	if !isUTF8(charset) {
		return t.transcode(body, charset, from)
	}
	if !utf8.Valid(body) {
		at := invalidAt(body)
		return nil, flow.Errorf(flow.BadMessage, "body is not UTF-8: byte 0x%02X at %d; a body of another charset has to name it in its content type", body[at], at)
	}
	return body, nil
}

// ownCharset is what a body without a byte order mark says about itself; it is
// UTF-8 when it says nothing.
func (t Text) ownCharset(body []byte) string {
	if t.SkipDeclaration {
		return utf8Name
	}
	if charset := wideXML(body); charset != "" {
		return charset
	}
	start, end := declaredEncoding(body)
	if declared := body[start:end]; len(declared) > 0 && !isUTF8(string(declared)) && !isWide(string(declared)) {
		return string(declared)
	}
	return utf8Name
}

// transcode decodes bytes of a charset that is not UTF-8.
func (t Text) transcode(body []byte, charset, from string) ([]byte, error) {
	text, err := decodeStrictly(body, charset)
	if err != nil {
		return nil, flow.Errorf(flow.BadMessage, "decoding the body by the charset %q of its %s: %w", charset, from, err)
	}
	return text, t.checkLength("decoded body", len(text))
}

// invalidAt is the index of the first byte that is not UTF-8.
func invalidAt(body []byte) int {
	for at := 0; at < len(body); {
		r, size := utf8.DecodeRune(body[at:])
		if r == utf8.RuneError && size <= 1 {
			return at
		}
		at += size
	}
	return len(body)
}
