package mapping

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"fmt"
	"io"
	"slices"
	"strings"

	"mqgateway/internal/flow"
)

// maxCodings bounds how often a body may be compressed.
const maxCodings = 4

// undoEncoding decompresses the body of m by its content encoding. Some clients
// (Spring AMQP, Kombu) put a charset there; it is returned, empty when there is
// none.
func (t Text) undoEncoding(m *flow.Message) (body []byte, charset string, err error) {
	if m.ContentEncoding == "" {
		return m.Body, "", nil
	}
	body = m.Body
	codings := strings.FieldsFunc(m.ContentEncoding, func(r rune) bool { return strings.ContainsRune(blanks+",:;", r) })
	if len(codings) > maxCodings {
		return nil, "", flow.Errorf(flow.BadMessage, "content encoding has %d codings, at most %d are undone", len(codings), maxCodings)
	}
	for _, coding := range slices.Backward(codings) {
		switch coding = strings.ToLower(coding); coding {
		case "gzip", "x-gzip", "deflate":
			if body, err = t.decompress(coding, body); err != nil {
				return nil, "", err
			}
		case "identity":
		default:
			if !isUTF8(coding) && encodingByName(coding) == nil {
				return nil, "", flow.Errorf(flow.BadMessage, "content encoding %q is neither gzip nor deflate nor a known charset", coding)
			}
			charset = coding
		}
	}
	return body, charset, nil
}

func (t Text) decompress(coding string, body []byte) ([]byte, error) {
	text, err := readAll(coding, body, t.MaxLength+1)
	if err != nil {
		return nil, flow.Errorf(flow.BadMessage, "undoing the content encoding %q: %w", coding, err)
	}
	if int64(len(text)) > t.MaxLength {
		return nil, flow.Errorf(flow.BadMessage, "decompressed body is over the limit of %d bytes (%s)", t.MaxLength, lengthKey)
	}
	return text, nil
}

// readAll decompresses at most limit bytes.
func readAll(coding string, body []byte, limit int64) ([]byte, error) {
	r, err := decompressor(coding, body)
	if err != nil {
		return nil, err
	}
	defer func() { _ = r.Close() }() // It reads from memory.
	text, err := io.ReadAll(io.LimitReader(r, limit))
	if err != nil {
		return nil, fmt.Errorf("after %d bytes: %w", len(text), err)
	}
	return text, nil
}

// decompressor takes deflate as RFC 9110 has it, inside zlib, and bare, as many
// programs send it.
func decompressor(coding string, body []byte) (io.ReadCloser, error) {
	switch {
	case coding != "deflate":
		return gzip.NewReader(bytes.NewReader(body))
	case len(body) >= 2 && body[0]&0x0F == 8 && (uint(body[0])<<8|uint(body[1]))%31 == 0:
		return zlib.NewReader(bytes.NewReader(body))
	default:
		return flate.NewReader(bytes.NewReader(body)), nil
	}
}
