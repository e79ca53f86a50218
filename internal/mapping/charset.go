package mapping

import (
	"bytes"
	"errors"
	"strings"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/ianaindex"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/encoding/unicode/utf32"
)

const utf8Name = "utf-8"

var (
	errUnknownCharset = errors.New("charset is not known")
	errNotText        = errors.New("bytes are not text in this charset")
)

// mark is a byte order mark that a body begins with.
type mark struct {
	charset string
	length  int
}

// markOf finds the byte order mark of body; none has no charset.
func markOf(body []byte) mark {
	switch {
	case bytes.HasPrefix(body, []byte("\xEF\xBB\xBF")):
		return mark{utf8Name, 3}
	case bytes.HasPrefix(body, []byte("\xFF\xFE\x00\x00")):
		return mark{"utf-32le", 4}
	case bytes.HasPrefix(body, []byte("\x00\x00\xFE\xFF")):
		return mark{"utf-32be", 4}
	case bytes.HasPrefix(body, []byte("\xFF\xFE")):
		return mark{"utf-16le", 2}
	case bytes.HasPrefix(body, []byte("\xFE\xFF")):
		return mark{"utf-16be", 2}
	default:
		return mark{}
	}
}

// applyMark takes the mark off a body of its charset. The mark decides the byte
// order where the charset leaves it open; without one, a first character from
// ASCII does, and the order is that of the network otherwise.
func applyMark(charset string, m mark, body []byte) (string, []byte) {
	open := strings.EqualFold(charset, "utf-16") || strings.EqualFold(charset, "utf-32")
	switch {
	case m.charset != "" && (strings.EqualFold(charset, m.charset) || isUTF8(charset) && m.charset == utf8Name),
		open && len(m.charset) > len(charset) && strings.EqualFold(charset, m.charset[:len(charset)]):
		return m.charset, body[m.length:]
	case open && len(body) >= 2 && body[0] != 0 && body[1] == 0:
		return charset + "le", body
	case open:
		return charset + "be", body
	default:
		return charset, body
	}
}

// wideXML tells the charset of XML in two-byte units without a byte order mark
// by its first characters, as https://www.w3.org/TR/xml/#sec-guessing does.
func wideXML(body []byte) string {
	switch {
	case bytes.HasPrefix(body, []byte("<\x00?\x00")):
		return "utf-16le"
	case bytes.HasPrefix(body, []byte("\x00<\x00?")):
		return "utf-16be"
	default:
		return ""
	}
}

// isWide tells that text in charset has units of more than one byte. An XML
// declaration that could be read byte by byte is wrong when it names such a
// charset; programs that build XML in a string and send it as UTF-8 do that.
func isWide(charset string) bool {
	for _, prefix := range []string{"utf-16", "utf-32", "ucs-2", "ucs-4", "iso-10646-ucs", "unicode"} {
		if len(charset) >= len(prefix) && strings.EqualFold(charset[:len(prefix)], prefix) {
			return true
		}
	}
	return false
}

func isUTF8(charset string) bool {
	return strings.EqualFold(charset, utf8Name) || strings.EqualFold(charset, "utf8")
}

// decodeStrictly decodes body to UTF-8. The decoders put U+FFFD for what they
// can't decode; it counts as text only where the body itself has it, which
// encoding it again proves.
func decodeStrictly(body []byte, charset string) ([]byte, error) {
	coding := encodingByName(charset)
	if coding == nil {
		return nil, errUnknownCharset
	}
	text, err := coding.NewDecoder().Bytes(body)
	if err != nil {
		return nil, errNotText
	}
	if bytes.Contains(text, []byte("\uFFFD")) {
		again, err := coding.NewEncoder().Bytes(text)
		if err != nil || !bytes.Equal(again, body) {
			return nil, errNotText
		}
	}
	return text, nil
}

// encodingByName knows the charsets of IANA exactly, and beside them the names
// that browsers know; nil is unknown.
func encodingByName(charset string) encoding.Encoding {
	switch strings.ToLower(charset) {
	case "utf-16le":
		return unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM)
	case "utf-16be":
		return unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM)
	case "utf-32le":
		return utf32.UTF32(utf32.LittleEndian, utf32.IgnoreBOM)
	case "utf-32be":
		return utf32.UTF32(utf32.BigEndian, utf32.IgnoreBOM)
	}
	if coding, err := ianaindex.IANA.Encoding(charset); err == nil && coding != nil {
		return coding
	}
	coding, err := htmlindex.Get(charset)
	if err != nil || coding == encoding.Replacement {
		return nil
	}
	return coding
}
