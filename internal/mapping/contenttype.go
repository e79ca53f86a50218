package mapping

import "strings"

// charsetOf is the charset parameter of a content type, empty when it has none.
func charsetOf(contentType string) string {
	start, end := charsetSpan(contentType)
	return contentType[start:end]
}

// correctCharset lets a charset parameter say UTF-8; a content type without one
// stays as it is.
func correctCharset(contentType string) string {
	start, end := charsetSpan(contentType)
	if start == end || strings.EqualFold(contentType[start:end], utf8Name) {
		return contentType
	}
	return contentType[:start] + utf8Name + contentType[end:]
}

// charsetSpan finds the value of the charset parameter, without its quotes;
// start equals end when there is none.
func charsetSpan(contentType string) (start, end int) {
	at := strings.IndexByte(contentType, ';')
	for at >= 0 {
		at++
		next := strings.IndexByte(contentType[at:], ';')
		parameter := contentType[at:]
		if next >= 0 {
			parameter = parameter[:next]
		}
		name, value, _ := strings.Cut(parameter, "=")
		if strings.EqualFold(strings.TrimSpace(name), "charset") {
			start = at + len(name) + 1
			return trimSpan(contentType, start, start+len(value))
		}
		if next < 0 {
			break
		}
		at += next
	}
	return 0, 0
}

// trimSpan leaves blanks and quotes at both ends out.
func trimSpan(s string, start, end int) (int, int) {
	const around = blanks + `"'`
	for start < end && strings.IndexByte(around, s[start]) >= 0 {
		start++
	}
	for start < end && strings.IndexByte(around, s[end-1]) >= 0 {
		end--
	}
	return start, end
}

// contentTypeOf is the content type of a text by its first character.
func contentTypeOf(body string) string {
	rest := strings.TrimLeft(strings.TrimPrefix(body, "\uFEFF"), blanks)
	switch {
	case strings.HasPrefix(rest, "<"):
		return "text/xml; charset=utf-8"
	case strings.HasPrefix(rest, "{"), strings.HasPrefix(rest, "["):
		return "application/json; charset=utf-8"
	default:
		return "text/plain; charset=utf-8"
	}
}
