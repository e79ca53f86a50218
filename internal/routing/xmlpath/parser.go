package xmlpath

import (
	"fmt"
	"slices"
	"strconv"
)

// maxNesting bounds parentheses and predicates of an expression.
const maxNesting = 100

// parser is a recursive descent over the grammar of XPath 1.0, 3. The first
// problem stops it: from then on it sees only the end.
type parser struct {
	lexemes []lexeme
	at      int
	nesting int
	failed  *problem
}

func parse(text string) (expr, *problem) {
	lexemes, err := lex(text)
	if err != nil {
		return nil, err
	}
	p := &parser{lexemes: lexemes}
	e := p.or()
	if p.peek().kind != lexEnd {
		p.fail(fmt.Sprintf("unexpected %s", p.peek().text))
	}
	if p.failed != nil {
		return nil, p.failed
	}
	return e, nil
}

func (p *parser) peek() lexeme {
	if p.failed != nil {
		return p.lexemes[len(p.lexemes)-1]
	}
	return p.lexemes[p.at]
}

// after is the lexeme behind the next one.
func (p *parser) after() lexeme {
	if p.failed != nil || p.at+1 == len(p.lexemes) {
		return p.lexemes[len(p.lexemes)-1]
	}
	return p.lexemes[p.at+1]
}

func (p *parser) take() lexeme {
	l := p.peek()
	if p.failed == nil && l.kind != lexEnd {
		p.at++
	}
	return l
}

// accept takes the lexeme when it is the symbol or operator.
func (p *parser) accept(symbols ...string) (lexeme, bool) {
	l := p.peek()
	if l.kind != lexOperator && l.kind != lexPunct || !slices.Contains(symbols, l.text) {
		return l, false
	}
	return p.take(), true
}

func (p *parser) expect(symbol string) {
	if l, ok := p.accept(symbol); !ok && p.failed == nil {
		if l.kind == lexEnd {
			p.fail("missing " + symbol)
			return
		}
		p.fail(fmt.Sprintf("unexpected %s instead of %s", l.text, symbol))
	}
}

func (p *parser) fail(text string) { p.failAt(p.peek().at, text) }

func (p *parser) failAt(at int, text string) {
	if p.failed == nil {
		p.failed = &problem{at, text}
	}
}

// binary reads operands joined by left-associative operators.
func (p *parser) binary(operand func() expr, operators ...string) expr {
	left := operand()
	for {
		l, ok := p.accept(operators...)
		if !ok {
			return left
		}
		left = &binaryExpr{operator: l.text, left: left, right: operand()}
	}
}

func (p *parser) or() expr {
	p.nesting++
	defer func() { p.nesting-- }()
	if p.nesting > maxNesting {
		p.fail("the expression is nested too deeply")
		return literalExpr{}
	}
	return p.binary(p.and, "or")
}
func (p *parser) and() expr        { return p.binary(p.equality, "and") }
func (p *parser) equality() expr   { return p.binary(p.relational, "=", "!=") }
func (p *parser) relational() expr { return p.binary(p.additive, "<", "<=", ">", ">=") }
func (p *parser) additive() expr   { return p.binary(p.multiplicative, "+", "-") }
func (p *parser) multiplicative() expr {
	return p.binary(p.unary, "*", "div", "mod")
}

func (p *parser) unary() expr {
	minuses := 0
	for {
		if _, ok := p.accept("-"); !ok {
			break
		}
		minuses++
	}
	e := p.union()
	switch {
	case minuses == 0:
		return e
	case minuses%2 == 0:
		return &callExpr{name: "number", arguments: []expr{e}, call: number, result: numberValue}
	}
	return &negativeExpr{e}
}

func (p *parser) union() expr {
	begin := p.peek().at
	e := p.path()
	if l := p.peek(); l.kind != lexOperator || l.text != "|" {
		return e
	}
	p.wantNodes(e, begin, "|")
	all := &unionExpr{parts: []expr{e}}
	for {
		if _, ok := p.accept("|"); !ok {
			return all
		}
		begin := p.peek().at
		part := p.path()
		p.wantNodes(part, begin, "|")
		all.parts = append(all.parts, part)
	}
}

func (p *parser) wantNodes(e expr, at int, operator string) {
	if p.failed == nil && e.kind() != nodesValue {
		p.failAt(at, fmt.Sprintf("%s needs nodes, not a %s", operator, e.kind()))
	}
}

func (p *parser) primary() expr {
	switch l := p.take(); l.kind {
	case lexNumber:
		n, _ := strconv.ParseFloat(l.text, 64) // The lexer took digits only.
		return literalExpr{numberOf(n)}
	case lexLiteral:
		return literalExpr{textOf(l.text)}
	case lexName:
		return p.call(l)
	default:
		e := p.or()
		p.expect(")")
		return e
	}
}

// call reads the arguments of a function and holds them to its signature.
func (p *parser) call(name lexeme) expr {
	f, ok := functions[name.text]
	if !ok {
		p.failAt(name.at, unknownFunction(name.text))
		return literalExpr{}
	}
	e := &callExpr{name: name.text, call: f.call, result: f.result}
	p.expect("(")
	for p.failed == nil {
		if _, ok := p.accept(")"); ok {
			break
		}
		if len(e.arguments) > 0 {
			p.expect(",")
		}
		begin := p.peek().at
		argument := p.or()
		if f.nodes && p.failed == nil && argument.kind() != nodesValue {
			p.failAt(begin, fmt.Sprintf("%s() needs nodes, not a %s", name.text, argument.kind()))
		}
		e.arguments = append(e.arguments, argument)
	}
	if n := len(e.arguments); p.failed == nil && (n < f.least || n > f.most) {
		p.failAt(name.at, fmt.Sprintf("%s() does not take %d arguments", name.text, n))
	}
	return e
}

func unknownFunction(name string) string {
	switch name {
	case "id", "lang":
		return name + "() is not supported: bodies are read without a DTD"
	case "lower-case", "upper-case", "matches", "replace", "ends-with", "string-join", "tokenize":
		return name + "() is not in XPath 1.0; change the found text by expr instead"
	}
	return fmt.Sprintf("unknown function %s()", name)
}
