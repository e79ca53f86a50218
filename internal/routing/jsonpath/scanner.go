package jsonpath

import (
	"bytes"
	"cmp"
	"fmt"
	"math"
	"unicode/utf8"
)

// Limits bound what a body may cost. Zero values take the defaults.
type Limits struct {
	// Depth is how deep objects and arrays may be nested. Default 128.
	Depth int
	// Nodes is how many values a body may have. Default 1,000,000.
	Nodes int
}

const (
	defaultDepth = 128
	defaultNodes = 1_000_000
)

func (l Limits) withDefaults() Limits {
	return Limits{Depth: cmp.Or(max(l.Depth, 0), defaultDepth), Nodes: cmp.Or(max(l.Nodes, 0), defaultNodes)}
}

// SyntaxError is a body that is no JSON text or over a limit. Its text names
// the place and never repeats the body.
type SyntaxError struct {
	// Line and Column count from 1; Column counts characters.
	Line, Column int
	Problem      string
}

// Error implements error.
func (e *SyntaxError) Error() string {
	return fmt.Sprintf("line %d, column %d: %s", e.Line, e.Column, e.Problem)
}

// span is a part of the body: body[from:to].
type span struct{ from, to int32 }

func (s span) of(body []byte) []byte { return body[s.from:s.to] }

type tokenKind uint8

const (
	endOfBody tokenKind = iota
	objectStart
	objectEnd
	arrayStart
	arrayEnd
	memberKey
	stringValue
	numberValue
	trueValue
	falseValue
	nullValue
)

// token is one piece of a JSON text. The data of strings and keys is without
// the quotes.
type token struct {
	kind    tokenKind
	escaped bool // a string with backslashes
	data    span
}

// expectation is what may come next.
type expectation uint8

const (
	aValue expectation = iota
	aValueOrEnd
	aKey
	aKeyOrEnd
	aCommaOrEnd
	nothing
)

// scanner reads the tokens of one JSON text (RFC 8259) and checks it, as far
// as it was read.
type scanner struct {
	body   []byte
	at     int
	limits Limits
	want   expectation
	open   []tokenKind // objectStart or arrayStart, for all that is open
	nodes  int
}

func (s *scanner) reset(body []byte, limits Limits) {
	*s = scanner{body: body, limits: limits.withDefaults(), open: s.open[:0]}
	if bytes.HasPrefix(body, []byte("\xef\xbb\xbf")) {
		s.at = 3
	}
}

// next returns the next token; endOfBody after the last one, every time.
func (s *scanner) next() (token, error) {
	if len(s.body) > math.MaxInt32 {
		return token{}, s.fail(0, "the body is larger than 2 GiB")
	}
	s.skipSpace()
	if s.at == len(s.body) {
		if s.want != nothing {
			return token{}, s.fail(s.at, "the body ends inside a value")
		}
		return token{kind: endOfBody}, nil
	}
	switch c := s.body[s.at]; s.want {
	case nothing:
		return token{}, s.fail(s.at, "text after the value")
	case aCommaOrEnd:
		return s.afterElement(c)
	case aKey, aKeyOrEnd:
		if c == '}' && s.want == aKeyOrEnd {
			return s.close(objectEnd)
		}
		return s.key(c)
	default:
		if c == ']' && s.want == aValueOrEnd {
			return s.close(arrayEnd)
		}
		return s.value(c)
	}
}

// afterElement reads the comma and what follows it, or the end.
func (s *scanner) afterElement(c byte) (token, error) {
	object := s.open[len(s.open)-1] == objectStart
	switch {
	case c == '}' && object:
		return s.close(objectEnd)
	case c == ']' && !object:
		return s.close(arrayEnd)
	case c != ',':
		return token{}, s.fail(s.at, "a missing comma, or the end of something else")
	}
	s.at++
	s.want = aValue
	if object {
		s.want = aKey
	}
	return s.next()
}

func (s *scanner) close(kind tokenKind) (token, error) {
	s.open = s.open[:len(s.open)-1]
	s.at++
	s.settle()
	return token{kind: kind, data: span{int32(s.at), int32(s.at)}}, nil
}

// settle says what may follow a complete value.
func (s *scanner) settle() {
	s.want = aCommaOrEnd
	if len(s.open) == 0 {
		s.want = nothing
	}
}

func (s *scanner) key(c byte) (token, error) {
	if c != '"' {
		return token{}, s.fail(s.at, "a key that is not a string")
	}
	tok, err := s.string()
	if err != nil {
		return token{}, err
	}
	tok.kind = memberKey
	s.skipSpace()
	if s.at == len(s.body) || s.body[s.at] != ':' {
		return token{}, s.fail(s.at, "a key without a colon")
	}
	s.at++
	s.want = aValue
	return tok, nil
}

func (s *scanner) value(c byte) (tok token, err error) {
	if s.nodes++; s.nodes > s.limits.Nodes {
		return token{}, s.fail(s.at, fmt.Sprintf("the body has more than %d values", s.limits.Nodes))
	}
	switch {
	case c == '{':
		return s.container(objectStart, aKeyOrEnd)
	case c == '[':
		return s.container(arrayStart, aValueOrEnd)
	case c == '"':
		tok, err = s.string()
	case c == '-' || isDigit(c):
		tok, err = s.number()
	default:
		tok, err = s.literal()
	}
	s.settle()
	return tok, err
}

func (s *scanner) container(kind tokenKind, want expectation) (token, error) {
	if len(s.open) == s.limits.Depth {
		return token{}, s.fail(s.at, fmt.Sprintf("objects and arrays are nested deeper than %d", s.limits.Depth))
	}
	tok := token{kind: kind, data: span{int32(s.at), int32(s.at)}}
	s.open = append(s.open, kind)
	s.at++
	s.want = want
	return tok, nil
}

func (s *scanner) skipSpace() {
	for s.at < len(s.body) {
		switch s.body[s.at] {
		case ' ', '\n', '\t', '\r':
			s.at++
		default:
			return
		}
	}
}

// fail makes the error for a place in the body.
func (s *scanner) fail(at int, problem string) error {
	before := s.body[:min(at, len(s.body))]
	line := bytes.Count(before, []byte("\n")) + 1
	column := utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:]) + 1
	return &SyntaxError{Line: line, Column: column, Problem: problem}
}
