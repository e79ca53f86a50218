package jsonpath

import (
	"bytes"
	"unicode/utf8"
)

func (s *scanner) string() (token, error) {
	tok := token{kind: stringValue}
	begin := s.at + 1
	wide := false
	for i := begin; i < len(s.body); i++ {
		switch c := s.body[i]; {
		case c == '"':
			tok.data = span{int32(begin), int32(i)}
			s.at = i + 1
			if wide && !utf8.Valid(s.body[begin:i]) {
				return token{}, s.fail(begin, "a string that is not UTF-8")
			}
			return tok, nil
		case c == '\\':
			size := escapeSize(s.body[i:])
			if size == 0 {
				return token{}, s.fail(i, "a broken escape in a string")
			}
			tok.escaped = true
			i += size - 1
		case c < ' ':
			return token{}, s.fail(i, "a control character in a string")
		case c >= utf8.RuneSelf:
			wide = true
		}
	}
	return token{}, s.fail(s.at, "a string does not end")
}

// number reads as RFC 8259, 6 has it: no leading zero, plus or bare point.
func (s *scanner) number() (token, error) {
	begin := s.at
	at := begin
	if s.body[at] == '-' {
		at++
	}
	whole := digitsAt(s.body, at)
	if whole == 0 || whole > 1 && s.body[at] == '0' {
		return token{}, s.fail(begin, "a broken number")
	}
	at += whole
	if at < len(s.body) && s.body[at] == '.' {
		fraction := digitsAt(s.body, at+1)
		if fraction == 0 {
			return token{}, s.fail(begin, "a broken number")
		}
		at += 1 + fraction
	}
	if at < len(s.body) && (s.body[at] == 'e' || s.body[at] == 'E') {
		at++
		if at < len(s.body) && (s.body[at] == '+' || s.body[at] == '-') {
			at++
		}
		exponent := digitsAt(s.body, at)
		if exponent == 0 {
			return token{}, s.fail(begin, "a broken number")
		}
		at += exponent
	}
	s.at = at
	return token{kind: numberValue, data: span{int32(begin), int32(at)}}, nil
}

func digitsAt(body []byte, at int) int {
	n := 0
	for at+n < len(body) && isDigit(body[at+n]) {
		n++
	}
	return n
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func (s *scanner) literal() (token, error) {
	for _, known := range []struct {
		text string
		kind tokenKind
	}{{"true", trueValue}, {"false", falseValue}, {"null", nullValue}} {
		if bytes.HasPrefix(s.body[s.at:], []byte(known.text)) {
			begin := s.at
			s.at += len(known.text)
			return token{kind: known.kind, data: span{int32(begin), int32(s.at)}}, nil
		}
	}
	return token{}, s.fail(s.at, "something that is no JSON value")
}
