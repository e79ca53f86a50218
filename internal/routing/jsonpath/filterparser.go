package jsonpath

import "fmt"

// filter reads what follows the ? of a filter.
func (p *parser) filter() condition {
	p.nesting++
	defer func() { p.nesting-- }()
	if p.nesting > maxNesting {
		p.fail("the filter is nested too deeply")
	}
	var all either
	for {
		all = append(all, p.conjunction())
		p.space()
		if !p.accept("||") {
			break
		}
	}
	if len(all) == 1 {
		return all[0]
	}
	return all
}

func (p *parser) conjunction() condition {
	var all both
	for {
		all = append(all, p.test())
		p.space()
		if !p.accept("&&") {
			break
		}
	}
	if len(all) == 1 {
		return all[0]
	}
	return all
}

// test reads a group, a comparison or a path that must exist.
func (p *parser) test() condition {
	p.space()
	if p.accept("(") {
		inner := p.filter()
		p.expect(")")
		return inner
	}
	begin := p.at
	left := p.operand()
	p.space()
	for _, operator := range []string{"==", "!=", "<=", ">=", "<", ">"} {
		if p.accept(operator) {
			return p.comparison(begin, left, operator)
		}
	}
	if p.peek("=") {
		p.fail("= compares nothing; write ==, !=, <, <=, > or >=")
	}
	if left.query == nil {
		p.failAt(begin, "a literal alone is no test; compare it with a path")
	}
	return *left.query
}

func (p *parser) comparison(begin int, left operand, operator string) condition {
	if p.peek("~") {
		p.fail("regular expressions are not supported")
	}
	p.checkSingle(begin, left)
	p.space()
	begin = p.at
	right := p.operand()
	p.checkSingle(begin, right)
	return comparison{operator, left, right}
}

// checkSingle refuses comparisons with several values, which nobody agrees on.
func (p *parser) checkSingle(at int, o operand) {
	if o.query != nil && !o.query.single() {
		p.failAt(at, "only a path of keys and indexes can be compared")
	}
}

func (p *parser) operand() operand {
	switch {
	case p.accept("@"):
		return operand{query: &query{segments: p.segments()}}
	case p.accept("$"):
		return operand{query: &query{fromRoot: true, segments: p.segments()}}
	case p.peek("'"), p.peek(`"`):
		return operand{literal: scalar{stringValue, p.quoted()}}
	case p.peek("!"):
		p.fail("! is not supported; compare with == or !=")
	}
	return operand{literal: p.bareLiteral()}
}

// bareLiteral reads a number, true, false or null.
func (p *parser) bareLiteral() scalar {
	s := scanner{body: []byte(p.text), at: p.at}
	if p.at == len(p.text) {
		p.fail("a path or a literal is missing at the end")
	}
	var tok token
	var err error
	if c := p.text[p.at]; c == '-' || isDigit(c) {
		tok, err = s.number()
	} else {
		tok, err = s.literal()
	}
	if err != nil {
		p.fail(fmt.Sprintf("unexpected %q instead of a path or a literal", p.rest(1)))
	}
	p.at = s.at
	return scalar{tok.kind, scalarText(tok.kind, false, tok.data.of(s.body))}
}
