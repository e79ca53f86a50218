package xmlpath

import (
	"bytes"
	"cmp"
	"fmt"
	"math"
	"unicode/utf8"
)

// Limits bound what a body may cost. Zero values take the defaults.
type Limits struct {
	// Depth is how deep elements may be nested. Default 256.
	Depth int
	// Nodes is how many nodes a body may have. Default 1,000,000.
	Nodes int
}

const (
	defaultDepth  = 256
	defaultNodes  = 1_000_000
	maxAttributes = 256
)

func (l Limits) withDefaults() Limits {
	return Limits{Depth: cmp.Or(max(l.Depth, 0), defaultDepth), Nodes: cmp.Or(max(l.Nodes, 0), defaultNodes)}
}

// SyntaxError is a body that is not well-formed or over a limit. Its text
// names the place and never repeats the body.
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
	startTag
	endTag
	textRun
	cdataSection
	comment
	instruction
)

// token is one piece of markup or a run of text. The attributes of a start tag
// are in the scanner, until its next token.
type token struct {
	kind tokenKind
	// name is that of a tag, or the target of an instruction.
	name span
	// data is the raw text of the token, without its delimiters.
	data span
	// empty marks <tag/>, which no end tag follows.
	empty bool
}

type attribute struct{ name, value span }

// scanner reads the tokens of one XML 1.0 body in UTF-8 and checks that it is
// well-formed, as far as it was read. It resolves nothing: a DOCTYPE is read
// over, and only the five predefined entities exist.
type scanner struct {
	body       []byte
	at         int
	limits     Limits
	open       []span // names of the elements that are open
	attributes []attribute
	nodes      int
	root       bool // the root element has been seen
	doctype    bool
	begin      int // where the body begins, after a BOM and blanks
}

func (s *scanner) reset(body []byte, limits Limits) {
	*s = scanner{body: body, limits: limits.withDefaults(), open: s.open[:0], attributes: s.attributes[:0]}
	if bytes.HasPrefix(body, []byte("\xef\xbb\xbf")) {
		s.at = 3
	}
	s.skipSpace()
	s.begin = s.at
}

// next returns the next token; endOfBody after the last one, every time.
func (s *scanner) next() (token, error) {
	if len(s.body) > math.MaxInt32 {
		return token{}, s.fail(0, "the body is larger than 2 GiB")
	}
	for {
		if s.at == len(s.body) {
			return s.end()
		}
		if s.body[s.at] != '<' {
			tok, skipped, err := s.text()
			if err != nil || !skipped {
				return tok, err
			}
			continue
		}
		tok, skipped, err := s.markup()
		if err != nil || !skipped {
			return tok, err
		}
	}
}

// markup reads what begins with <. Declarations are skipped.
func (s *scanner) markup() (tok token, skipped bool, err error) {
	rest := s.body[s.at:]
	switch {
	case len(rest) > 1 && rest[1] == '/':
		tok, err = s.endTag()
	case bytes.HasPrefix(rest, []byte("<!--")):
		tok, err = s.comment()
	case bytes.HasPrefix(rest, []byte("<![CDATA[")):
		tok, err = s.cdata()
	case bytes.HasPrefix(rest, []byte("<!")):
		return token{}, true, s.skipDoctype()
	case bytes.HasPrefix(rest, []byte("<?xml")) && len(rest) > 5 && isSpace(rest[5]):
		return token{}, true, s.declaration()
	case len(rest) > 1 && rest[1] == '?':
		tok, err = s.instruction()
	default:
		tok, err = s.startTag()
	}
	return tok, false, err
}

func (s *scanner) end() (token, error) {
	switch {
	case len(s.open) > 0:
		return token{}, s.fail(s.at, "the body ends inside an element")
	case !s.root:
		return token{}, s.fail(s.at, "the body has no root element")
	}
	return token{kind: endOfBody}, nil
}

// text reads up to the next markup. Blanks around the root are skipped.
func (s *scanner) text() (tok token, skipped bool, err error) {
	begin := s.at
	length := bytes.IndexByte(s.body[begin:], '<')
	if length < 0 {
		length = len(s.body) - begin
	}
	data := span{int32(begin), int32(begin + length)}
	s.at += length
	if len(s.open) > 0 {
		if err := s.checkText(data, false); err != nil {
			return token{}, false, err
		}
		return token{kind: textRun, data: data}, false, s.count(begin, 1)
	}
	for i, c := range data.of(s.body) {
		if !isSpace(c) {
			return token{}, false, s.fail(begin+i, "text outside the root element")
		}
	}
	return token{}, true, nil
}

func (s *scanner) cdata() (token, error) {
	begin := s.at
	if len(s.open) == 0 {
		return token{}, s.fail(begin, "text outside the root element")
	}
	data, err := s.until(begin+len("<![CDATA["), "]]>", "a CDATA section")
	if err != nil {
		return token{}, err
	}
	return token{kind: cdataSection, data: data}, s.count(begin, 1)
}

func (s *scanner) comment() (token, error) {
	begin := s.at
	data, err := s.until(begin+len("<!--"), "--", "a comment")
	if err != nil {
		return token{}, err
	}
	if s.at == len(s.body) || s.body[s.at] != '>' {
		return token{}, s.fail(s.at, "-- inside a comment")
	}
	s.at++
	return token{kind: comment, data: data}, s.count(begin, 1)
}

func (s *scanner) instruction() (token, error) {
	begin := s.at
	s.at += 2
	name, err := s.name("a processing instruction")
	if err != nil {
		return token{}, err
	}
	if bytes.EqualFold(name.of(s.body), []byte("xml")) {
		return token{}, s.fail(begin, "an XML declaration that is not at the beginning")
	}
	spaced := s.skipSpace()
	from := s.at
	data, err := s.until(from, "?>", "a processing instruction")
	if err != nil {
		return token{}, err
	}
	if !spaced && data.from != data.to {
		return token{}, s.fail(from, "a character that no name may have")
	}
	return token{kind: instruction, name: name, data: data}, s.count(begin, 1)
}

// until reads up to the mark, which belongs to what, and behind it.
func (s *scanner) until(from int, mark, what string) (span, error) {
	length := bytes.Index(s.body[from:], []byte(mark))
	if length < 0 {
		return span{}, s.fail(s.at, what+" does not end")
	}
	data := span{int32(from), int32(from + length)}
	if at := badCharacter(data.of(s.body)); at >= 0 {
		return span{}, s.fail(from+at, "a character that XML does not allow")
	}
	s.at = from + length + len(mark)
	return data, nil
}

// checkText checks characters and references of text or an attribute's value.
func (s *scanner) checkText(data span, quoted bool) error {
	text := data.of(s.body)
	for i := 0; i < len(text); {
		switch c := text[i]; {
		case c == '&':
			_, size := reference(text[i:])
			if size == 0 {
				return s.fail(int(data.from)+i, "an undefined entity, or & that is not written &amp;")
			}
			i += size
		case c == ']' && !quoted && bytes.HasPrefix(text[i:], []byte("]]>")):
			return s.fail(int(data.from)+i, "]]> outside a CDATA section")
		case c >= utf8.RuneSelf || c < ' ':
			size := characterSize(text[i:])
			if size == 0 {
				return s.fail(int(data.from)+i, "a character that XML does not allow")
			}
			i += size
		default:
			i++
		}
	}
	return nil
}

func (s *scanner) skipSpace() bool {
	begin := s.at
	for s.at < len(s.body) && isSpace(s.body[s.at]) {
		s.at++
	}
	return s.at > begin
}

// count adds nodes that begin at a place.
func (s *scanner) count(at, nodes int) error {
	s.nodes += nodes
	if s.nodes > s.limits.Nodes {
		return s.fail(at, fmt.Sprintf("the body has more than %d nodes", s.limits.Nodes))
	}
	return nil
}

// fail makes the error for a place in the body.
func (s *scanner) fail(at int, problem string) error {
	before := s.body[:min(at, len(s.body))]
	line := bytes.Count(before, []byte("\n")) + 1
	column := utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:]) + 1
	return &SyntaxError{Line: line, Column: column, Problem: problem}
}
