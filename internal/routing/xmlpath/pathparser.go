package xmlpath

import (
	"fmt"
	"strings"
)

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
