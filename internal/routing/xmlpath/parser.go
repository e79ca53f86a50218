package xmlpath

import (
	"fmt"
	"strconv"
	"strings"
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
	if l.kind != lexOperator && l.kind != lexPunct {
		return l, false
	}
	for _, symbol := range symbols {
		if l.text == symbol {
			return p.take(), true
		}
	}
	return l, false
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

// path reads a location path, or a filter expression with a path behind it.
func (p *parser) path() expr {
	if p.startsFilter() {
		return p.filtered()
	}
	path := &pathExpr{}
	if l, ok := p.accept("/", "//"); ok {
		path.absolute = true
		if l.text == "//" {
			path.steps = append(path.steps, anyDepth)
		} else if !p.startsStep() {
			return path
		}
	}
	p.steps(path)
	return path.simplified()
}

// startsFilter tells an expression that is no location path.
func (p *parser) startsFilter() bool {
	switch l := p.peek(); l.kind {
	case lexNumber, lexLiteral:
		return true
	case lexPunct:
		return l.text == "("
	case lexName:
		return p.after().text == "(" && p.after().kind == lexPunct && !isNodeType(l.text)
	default:
		return false
	}
}

func isNodeType(name string) bool {
	return name == "node" || name == "text" || name == "comment" || name == "processing-instruction"
}

func (p *parser) startsStep() bool {
	l := p.peek()
	return l.kind == lexName || l.kind == lexPunct && (l.text == "." || l.text == ".." || l.text == "@")
}

func (p *parser) filtered() expr {
	begin := p.peek().at
	e := p.primary()
	if l := p.peek(); l.kind == lexPunct && l.text == "[" {
		p.wantNodes(e, begin, "a predicate")
		e = &filterExpr{of: e, predicates: p.predicates()}
	}
	l, ok := p.accept("/", "//")
	if !ok {
		return e
	}
	p.wantNodes(e, begin, l.text)
	path := &pathExpr{filter: e}
	if l.text == "//" {
		path.steps = append(path.steps, anyDepth)
	}
	p.steps(path)
	return path.simplified()
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

// steps reads relative steps into a path.
func (p *parser) steps(path *pathExpr) {
	for p.failed == nil {
		path.steps = append(path.steps, p.step())
		l, ok := p.accept("/", "//")
		if !ok {
			return
		}
		if l.text == "//" {
			path.steps = append(path.steps, anyDepth)
		}
	}
}

func (p *parser) step() step {
	if _, ok := p.accept("."); ok {
		return step{axis: selfAxis, test: test{kind: anyNode}}
	}
	if _, ok := p.accept(".."); ok {
		return step{axis: parentAxis, test: test{kind: anyNode}}
	}
	s := step{axis: p.axis()}
	s.test = p.test()
	s.predicates = p.predicates()
	return s
}

func (p *parser) axis() axis {
	if _, ok := p.accept("@"); ok {
		return attributeAxis
	}
	if l := p.after(); l.kind != lexPunct || l.text != "::" {
		return childAxis
	}
	name := p.take()
	p.take()
	if name.text == "namespace" {
		p.failAt(name.at, "the namespace axis is not supported; compare names as written, or use namespace-uri()")
	}
	a, ok := axes[name.text]
	if !ok {
		p.failAt(name.at, fmt.Sprintf("unknown axis %s", name.text))
	}
	return a
}

func (p *parser) test() test {
	l := p.take()
	if l.kind != lexName {
		if p.failed == nil && l.kind == lexEnd {
			p.failAt(l.at, "a step is missing at the end")
		}
		p.failAt(l.at, fmt.Sprintf("unexpected %s instead of a step", l.text))
		return test{}
	}
	if next := p.peek(); next.kind == lexPunct && next.text == "(" && isNodeType(l.text) {
		return p.nodeType(l)
	}
	switch prefix, isPrefix := strings.CutSuffix(l.text, ":*"); {
	case l.text == "*":
		return test{kind: anyName}
	case isPrefix:
		return test{kind: anyOfPrefix, name: prefix}
	}
	return test{kind: exactName, name: l.text}
}

func (p *parser) nodeType(l lexeme) test {
	p.expect("(")
	if l.text == "processing-instruction" {
		p.failAt(l.at, "processing-instruction() is not supported")
	}
	p.expect(")")
	return test{kind: map[string]testKind{"node": anyNode, "text": anyText, "comment": anyComment}[l.text]}
}

func (p *parser) predicates() []expr {
	var all []expr
	for {
		if _, ok := p.accept("["); !ok {
			return all
		}
		all = append(all, p.or())
		p.expect("]")
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
