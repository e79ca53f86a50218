package expression

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// text reads a text in quotes and writes it as a raw one, which holds every
// character as it is.
func (t *tokens) text(quote rune) *problem {
	begin := t.at
	t.at++
	var value strings.Builder
	for {
		c := t.peek(0)
		switch {
		case t.at == len(t.source):
			return &problem{begin, "the text does not end"}
		case c == quote && t.peek(1) == quote:
			value.WriteRune(quote)
			t.at += 2
			continue
		case c == '\\' && quote != '`':
			t.escape(&value, quote)
			continue
		}
		t.at++
		if c == quote {
			break
		}
		value.WriteRune(c)
	}
	t.emit("`"+strings.ReplaceAll(value.String(), "`", "``")+"`", begin)
	t.operand, t.member = true, false
	return nil
}

var simpleEscapes = map[rune]rune{
	'a': '\a', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t', 'v': '\v', '\\': '\\',
}

// escape reads a backslash and what belongs to it. The escapes of Go are
// resolved; before anything else the backslash stays, so that patterns need
// not double it.
func (t *tokens) escape(value *strings.Builder, quote rune) {
	c := t.peek(1)
	if simple, ok := simpleEscapes[c]; ok {
		value.WriteRune(simple)
		t.at += 2
		return
	}
	if c == quote {
		value.WriteRune(quote)
		t.at += 2
		return
	}
	if r, length := t.numberedEscape(c); length > 0 {
		value.WriteRune(r)
		t.at += length
		return
	}
	value.WriteRune('\\')
	t.at++
}

// numberedEscape reads \123, \x41, \u0041 and \U00000041; the length is 0 when
// there is none.
func (t *tokens) numberedEscape(c rune) (r rune, length int) {
	base, skip, digits := 16, 2, 0
	switch {
	case c >= '0' && c <= '7':
		base, skip, digits = 8, 1, 3
	case c == 'x':
		digits = 2
	case c == 'u':
		digits = 4
	case c == 'U':
		digits = 8
	default:
		return 0, 0
	}
	if t.at+skip+digits > len(t.source) {
		return 0, 0
	}
	n, err := strconv.ParseUint(string(t.source[t.at+skip:t.at+skip+digits]), base, 32)
	if err != nil || n > utf8.MaxRune || !utf8.ValidRune(rune(n)) {
		return 0, 0
	}
	return rune(n), skip + digits
}
