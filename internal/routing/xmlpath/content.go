package xmlpath

import "bytes"

// contentText is the text of an element whose raw content is known to be
// well-formed: the text and CDATA in it, without markup.
func contentText(raw []byte) string {
	if bytes.IndexByte(raw, '<') < 0 {
		return decode(raw, false)
	}
	return string(appendContent(make([]byte, 0, len(raw)), raw))
}

func appendContent(out, raw []byte) []byte {
	for len(raw) > 0 {
		at := bytes.IndexByte(raw, '<')
		if at < 0 {
			return appendDecoded(out, raw, false)
		}
		out = appendDecoded(out, raw[:at], false)
		raw = raw[at:]
		if data, ok := bytes.CutPrefix(raw, []byte("<![CDATA[")); ok {
			section, rest, _ := bytes.Cut(data, []byte("]]>"))
			out = appendLines(out, section)
			raw = rest
			continue
		}
		raw = raw[markupLength(raw):]
	}
	return out
}

// markupLength is the length of the tag, comment or instruction that raw begins
// with.
func markupLength(raw []byte) int {
	switch {
	case bytes.HasPrefix(raw, []byte("<!--")):
		return len("<!--") + bytes.Index(raw[len("<!--"):], []byte("-->")) + len("-->")
	case bytes.HasPrefix(raw, []byte("<?")):
		return bytes.Index(raw, []byte("?>")) + len("?>")
	}
	var quote byte
	for i, c := range raw {
		switch {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		case c == '>':
			return i + 1
		}
	}
	return len(raw)
}
