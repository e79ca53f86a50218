package jsonpath

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxNesting bounds parentheses and filters inside filters.
const maxNesting = 100

// problem is what is wrong with an expression, and where.
type problem struct {
	at      int
	problem string
}

// parser is a recursive descent. It stops at the first problem by panicking
// with a *problem, which parse recovers.
type parser struct {
	text    string
	at      int
	nesting int
}

func parse(text string) (segments []segment, err *problem) {
	p := &parser{text: text}
	defer func() {
		if r := recover(); r != nil {
			found, ok := r.(*problem)
			if !ok {
				panic(r)
			}
			err = found
		}
	}()
	p.space()
	if !p.accept("$") {
		p.fail("a path begins with $, as in $.operation")
	}
	segments = p.segments()
	p.space()
	if p.at < len(text) {
		p.fail(fmt.Sprintf("unexpected %q", p.rest(1)))
	}
	return segments, nil
}

func (p *parser) fail(text string)           { p.failAt(p.at, text) }
func (p *parser) failAt(at int, text string) { panic(&problem{at, text}) }

// rest is the next n characters.
func (p *parser) rest(n int) string {
	end := p.at
	for ; n > 0 && end < len(p.text); n-- {
		_, size := utf8.DecodeRuneInString(p.text[end:])
		end += size
	}
	return p.text[p.at:end]
}

func (p *parser) space() {
	for p.at < len(p.text) && strings.IndexByte(" \t\r\n", p.text[p.at]) >= 0 {
		p.at++
	}
}

func (p *parser) peek(symbol string) bool { return strings.HasPrefix(p.text[p.at:], symbol) }

func (p *parser) accept(symbol string) bool {
	if !p.peek(symbol) {
		return false
	}
	p.at += len(symbol)
	return true
}

func (p *parser) expect(symbol string) {
	p.space()
	if p.accept(symbol) {
		return
	}
	if p.at == len(p.text) {
		p.fail("missing " + symbol)
	}
	p.fail(fmt.Sprintf("unexpected %q instead of %s", p.rest(1), symbol))
}

// segments reads as many as there are.
func (p *parser) segments() []segment {
	var all []segment
	for {
		begin := p.at
		p.space()
		switch {
		case p.accept(".."):
			s := p.segmentAfterDots()
			s.descend = true
			all = append(all, s)
		case p.accept("."):
			all = append(all, segment{selectors: []selector{p.dotted()}})
		case p.accept("["):
			all = append(all, p.bracket())
		default:
			p.at = begin
			return all
		}
	}
}

func (p *parser) segmentAfterDots() segment {
	if p.accept("[") {
		return p.bracket()
	}
	return segment{selectors: []selector{p.dotted()}}
}

// dotted reads a key without quotes, or a star.
func (p *parser) dotted() selector {
	if p.accept("*") {
		return wildcardSelector{}
	}
	begin := p.at
	for p.at < len(p.text) {
		r, size := utf8.DecodeRuneInString(p.text[p.at:])
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '_' && r != '-' && !unicode.IsMark(r) {
			break
		}
		p.at += size
	}
	switch name := p.text[begin:p.at]; {
	case p.peek("("):
		p.failAt(begin, fmt.Sprintf("function %s() is not supported", name))
	case name == "" && p.at == len(p.text):
		p.fail("a key is missing at the end")
	case name == "":
		p.fail(fmt.Sprintf("unexpected %q instead of a key; write other keys as ['key']", p.rest(1)))
	}
	return nameSelector(p.text[begin:p.at])
}

func (p *parser) bracket() segment {
	var s segment
	for {
		s.selectors = append(s.selectors, p.selector())
		p.space()
		if !p.accept(",") {
			break
		}
	}
	p.expect("]")
	return s
}

func (p *parser) selector() selector {
	p.space()
	switch {
	case p.peek("'"), p.peek(`"`):
		return nameSelector(p.quoted())
	case p.accept("*"):
		return wildcardSelector{}
	case p.accept("?"):
		return filterSelector{p.filter()}
	case p.peek("("):
		p.fail("scripts are not supported; the last element is [-1]")
	case p.at == len(p.text):
		p.fail("missing ]")
	}
	return p.indexOrSlice()
}

// indexOrSlice reads 1, -1, 1:3, ::2 and the like.
func (p *parser) indexOrSlice() selector {
	begin := p.at
	from := p.integer()
	p.space()
	if !p.accept(":") {
		if from == nil {
			p.failAt(begin, fmt.Sprintf("unexpected %q; write keys as ['key']", p.rest(1)))
		}
		return indexSelector(*from)
	}
	s := sliceSelector{from: from, step: 1}
	p.space()
	s.to = p.integer()
	p.space()
	if p.accept(":") {
		p.space()
		if step := p.integer(); step != nil {
			s.step = *step
		}
	}
	return s
}

// integer reads a whole number, or nothing.
func (p *parser) integer() *int {
	begin := p.at
	p.accept("-")
	for p.at < len(p.text) && isDigit(p.text[p.at]) {
		p.at++
	}
	if p.at == begin {
		return nil
	}
	n, err := strconv.ParseInt(p.text[begin:p.at], 10, 32)
	if err != nil {
		p.failAt(begin, fmt.Sprintf("%q is not an index", p.text[begin:p.at]))
	}
	at := int(n)
	return &at
}

// quoted reads a string in either quotes, with the escapes of JSON and \'.
func (p *parser) quoted() string {
	begin := p.at
	quote := p.text[p.at]
	p.at++
	var out []byte
	for p.at < len(p.text) {
		c := p.text[p.at]
		switch {
		case c == quote:
			p.at++
			return string(out)
		case c == '\\' && p.at+1 < len(p.text) && p.text[p.at+1] == '\'':
			out = append(out, '\'')
			p.at += 2
		case c == '\\':
			out = append(out, p.escape()...)
		default:
			out = append(out, c)
			p.at++
		}
	}
	p.failAt(begin, "the text does not end")
	return ""
}

// escape reads one escape, or a pair of surrogates.
func (p *parser) escape() string {
	rest := []byte(p.text[p.at:])
	size := escapeSize(rest)
	if size == 0 {
		p.fail("a broken escape")
	}
	if size == 6 && escapeSize(rest[6:]) == 6 && utf8.RuneCountInString(unescape(rest[:12])) == 1 {
		size = 12
	}
	p.at += size
	return unescape(rest[:size])
}
