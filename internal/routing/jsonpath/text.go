package jsonpath

import (
	"bytes"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// escapeSize is the length of the escape that text begins with; 0 when it is
// broken.
func escapeSize(text []byte) int {
	if len(text) < 2 {
		return 0
	}
	switch text[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		if _, ok := hexUnit(text); ok {
			return 6
		}
	}
	return 0
}

// hexUnit reads \uXXXX.
func hexUnit(text []byte) (rune, bool) {
	if len(text) < 6 || text[0] != '\\' || text[1] != 'u' {
		return 0, false
	}
	n, err := strconv.ParseUint(string(text[2:6]), 16, 16)
	return rune(n), err == nil
}

var simpleEscapes = map[byte]byte{'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t'}

// unescape resolves the escapes of a string that is known to be well-formed.
// Half a surrogate pair becomes U+FFFD.
func unescape(raw []byte) string {
	out := make([]byte, 0, len(raw))
	for i := 0; i < len(raw); {
		if raw[i] != '\\' {
			out = append(out, raw[i])
			i++
			continue
		}
		if unit, ok := hexUnit(raw[i:]); ok {
			i += 6
			if low, ok := hexUnit(raw[i:]); ok && utf16.IsSurrogate(unit) {
				if pair := utf16.DecodeRune(unit, low); pair != utf8.RuneError {
					unit = pair
					i += 6
				}
			}
			out = utf8.AppendRune(out, unit)
			continue
		}
		c := raw[i+1]
		if simple, ok := simpleEscapes[c]; ok {
			c = simple
		}
		out = append(out, c)
		i += 2
	}
	return string(out)
}

// sameKey compares a key with a name without copying it.
func sameKey(raw []byte, escaped bool, name string) bool {
	if escaped {
		return unescape(raw) == name
	}
	return string(raw) == name
}

// scalarText is the text of a value that is neither object nor array.
func scalarText(kind tokenKind, escaped bool, raw []byte) string {
	switch {
	case kind == nullValue:
		return ""
	case escaped:
		return unescape(raw)
	default:
		return string(raw)
	}
}

// compact is an object without the blanks between its tokens; everything else
// stays as it was written.
func compact(raw []byte) string {
	if !bytes.ContainsAny(raw, " \t\r\n") {
		return string(raw)
	}
	out := make([]byte, 0, len(raw))
	quoted := false
	for i := 0; i < len(raw); i++ {
		c := raw[i]
		switch {
		case quoted && c == '\\':
			out = append(out, c, raw[i+1])
			i++
			continue
		case c == '"':
			quoted = !quoted
		case !quoted && (c == ' ' || c == '\t' || c == '\r' || c == '\n'):
			continue
		}
		out = append(out, c)
	}
	return string(out)
}
