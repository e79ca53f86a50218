package xmlpath

import (
	"bytes"
	"strconv"
	"unicode/utf8"
)

// isSpace tells the four blanks of XML.
func isSpace(c byte) bool { return c == ' ' || c == '\n' || c == '\t' || c == '\r' }

// allowed tells the characters of XML 1.0 (https://www.w3.org/TR/xml/#charsets).
func allowed(r rune) bool {
	return r >= 0x20 && r <= 0xD7FF || r == '\t' || r == '\n' || r == '\r' ||
		r >= 0xE000 && r <= 0xFFFD || r >= 0x10000 && r <= 0x10FFFF
}

// characterSize is the length of the first character; 0 when XML does not
// allow it or it is not UTF-8.
func characterSize(text []byte) int {
	r, size := utf8.DecodeRune(text)
	if r == utf8.RuneError && size < 2 || !allowed(r) {
		return 0
	}
	return size
}

// badCharacter is the place of the first character that is not allowed, or -1.
func badCharacter(text []byte) int {
	for i := 0; i < len(text); {
		if c := text[i]; c >= ' ' && c < utf8.RuneSelf {
			i++
			continue
		}
		size := characterSize(text[i:])
		if size == 0 {
			return i
		}
		i += size
	}
	return -1
}

type runeRange struct{ from, to rune }

// nameStart and nameMore are the ranges above ASCII that names may begin with
// and have behind that (https://www.w3.org/TR/xml/#NT-NameStartChar).
var (
	nameStart = []runeRange{
		{0xC0, 0xD6},
		{0xD8, 0xF6},
		{0xF8, 0x2FF},
		{0x370, 0x37D},
		{0x37F, 0x1FFF},
		{0x200C, 0x200D},
		{0x2070, 0x218F},
		{0x2C00, 0x2FEF},
		{0x3001, 0xD7FF},
		{0xF900, 0xFDCF},
		{0xFDF0, 0xFFFD},
		{0x10000, 0xEFFFF},
	}
	nameMore = []runeRange{{0xB7, 0xB7}, {0x300, 0x36F}, {0x203F, 0x2040}}
)

func within(ranges []runeRange, r rune) bool {
	for _, in := range ranges {
		if r >= in.from && r <= in.to {
			return true
		}
	}
	return false
}

// nameCharacter is the length of the character of a name that text begins
// with; 0 when it is none.
func nameCharacter(text []byte, first bool) int {
	c := text[0]
	switch {
	case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c == '_', c == ':':
		return 1
	case c >= '0' && c <= '9', c == '-', c == '.':
		if first {
			return 0
		}
		return 1
	case c < utf8.RuneSelf:
		return 0
	}
	r, size := utf8.DecodeRune(text)
	if r == utf8.RuneError && size < 2 {
		return 0
	}
	if within(nameStart, r) || !first && within(nameMore, r) {
		return size
	}
	return 0
}

// plainName tells the ASCII characters that a name may have behind its first.
var plainName = func() (table [256]bool) {
	for c := range byte(utf8.RuneSelf) {
		table[c] = nameCharacter([]byte{c}, false) > 0
	}
	return table
}()

// localName is what follows the prefix of a name.
func localName(name []byte) []byte {
	if colon := prefixLength(name); colon > 0 {
		return name[colon+1:]
	}
	return name
}

// prefixLength is 0 for a name without a prefix, also where colons stand so
// that no prefix can be meant.
func prefixLength(name []byte) int {
	colon := bytes.IndexByte(name, ':')
	if colon <= 0 || colon == len(name)-1 || bytes.IndexByte(name[colon+1:], ':') >= 0 {
		return 0
	}
	return colon
}

// longestReference is &#x10FFFF; with room for leading zeros.
const longestReference = 32

// reference reads &name; or &#number; at the beginning of text. The size is 0
// when that is no reference, or one to an entity that XML does not predefine.
func reference(text []byte) (r rune, size int) {
	end := bytes.IndexByte(text[:min(len(text), longestReference)], ';')
	if end < 2 {
		return 0, 0
	}
	switch name := text[1:end]; string(name) {
	case "lt":
		return '<', end + 1
	case "gt":
		return '>', end + 1
	case "amp":
		return '&', end + 1
	case "apos":
		return '\'', end + 1
	case "quot":
		return '"', end + 1
	default:
		if r, ok := numberedCharacter(name); ok {
			return r, end + 1
		}
		return 0, 0
	}
}

func numberedCharacter(name []byte) (rune, bool) {
	digits, ok := bytes.CutPrefix(name, []byte("#"))
	if !ok {
		return 0, false
	}
	base := 10
	if hex, ok := bytes.CutPrefix(digits, []byte("x")); ok {
		digits, base = hex, 16
	}
	n, err := strconv.ParseUint(string(digits), base, 32)
	if err != nil || !allowed(rune(n)) || n > utf8.MaxRune {
		return 0, false
	}
	return rune(n), true
}

// decode returns raw text with its references resolved and its line ends made
// \n; in the value of an attribute blanks become spaces. The text is known to
// be well-formed.
func decode(raw []byte, quoted bool) string {
	if isPlain(raw, quoted) {
		return string(raw)
	}
	return string(appendDecoded(make([]byte, 0, len(raw)), raw, quoted))
}

func isPlain(raw []byte, quoted bool) bool {
	for _, c := range raw {
		if c == '&' || c == '\r' || quoted && (c == '\n' || c == '\t') {
			return false
		}
	}
	return true
}

func appendDecoded(out, raw []byte, quoted bool) []byte {
	for i := 0; i < len(raw); {
		switch c := raw[i]; {
		case c == '&':
			r, size := reference(raw[i:])
			out = utf8.AppendRune(out, r)
			i += max(size, 1)
			continue
		case c == '\r':
			if i+1 < len(raw) && raw[i+1] == '\n' {
				i++
			}
			out = append(out, blank(quoted))
		case quoted && (c == '\n' || c == '\t'):
			out = append(out, ' ')
		default:
			out = append(out, c)
		}
		i++
	}
	return out
}

// blank is what a line end becomes.
func blank(quoted bool) byte {
	if quoted {
		return ' '
	}
	return '\n'
}

// appendLines is CDATA: no references, but line ends.
func appendLines(out, raw []byte) []byte {
	for i, c := range raw {
		switch {
		case c != '\r':
			out = append(out, c)
		case i+1 == len(raw) || raw[i+1] != '\n':
			out = append(out, '\n')
		}
	}
	return out
}
