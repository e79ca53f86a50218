// Package xmlpath finds texts in XML bodies by XPath 1.0.
//
// A [Path] is compiled and type-checked once. A [Document] is a whole body as
// a tree, over which every path runs. A [Stream] reads a body only as far as
// the values of a [Plan] need it; the three simple forms of paths can do that,
// and both ways share one scanner and find the same.
//
// Names match as they are written, prefix included; namespaces are not looked
// at, other than by namespace-uri(). What XPath 1.0 leaves to its host is not
// there: variables, id(), lang(), the namespace axis.
//
// The package evaluates by itself because github.com/antchfx/xpath orders and
// counts sets of nodes otherwise than XPath 1.0, which would lead messages to
// wrong services; a test lists where.
package xmlpath

import (
	"fmt"
	"unicode/utf8"

	"mqgateway/internal/field"
)

// Path is a compiled expression. It is safe for any number of goroutines.
type Path struct {
	text string
	root expr
	form form
}

// form is the shape of a path that streams: local-name(/*), //tag or
// //tag/@attribute.
type form struct {
	root           bool
	tag, attribute string
}

// Compile checks an expression. The error has its offset in the text, and names
// what is wrong and what may stand there.
func Compile(text string) (*Path, error) {
	root, err := parse(text)
	if err != nil {
		offset := utf8.RuneCountInString(text[:min(err.at, len(text))])
		return nil, field.At("", offset, fmt.Errorf("XPath %q: %s", text, err.problem))
	}
	return &Path{text: text, root: root, form: formOf(root)}, nil
}

// String is the expression as it was written.
func (p *Path) String() string { return p.text }

// Streams tells that the path may be part of a [Plan].
func (p *Path) Streams() bool { return p.form != form{} }

// Text returns the value of the path in a document: the text of the first node
// in document order, or the number, text or boolean that the path computes. It
// is empty when nothing matches. The error is a computation over its budget.
func (p *Path) Text(d *Document) (string, error) {
	c := context{doc: d, node: 0, position: 1, size: 1, budget: newBudget(d)}
	value := p.root.eval(&c)
	if c.budget.spent() {
		return "", fmt.Errorf("evaluating XPath %q takes too many steps over this body", p.text)
	}
	return value.text(d), nil
}

// formOf finds the shape of a path that streams, if it has one.
func formOf(e expr) form {
	if call, ok := e.(*callExpr); ok && call.name == "local-name" && len(call.arguments) == 1 {
		if isRootElement(call.arguments[0]) {
			return form{root: true}
		}
		return form{}
	}
	location, ok := e.(*pathExpr)
	if !ok || location.filter != nil || !location.absolute {
		return form{}
	}
	return streamedSteps(location.steps)
}

func isRootElement(e expr) bool {
	location, ok := e.(*pathExpr)
	return ok && location.filter == nil && location.absolute && len(location.steps) == 1 &&
		location.steps[0].is(childAxis, test{kind: anyName})
}

// streamedSteps tells descendant::tag, with or without attribute::name, which
// the parser makes of //tag and //tag/@name.
func streamedSteps(steps []step) form {
	if len(steps) == 0 || len(steps) > 2 || !steps[0].is(descendantAxis, test{kind: exactName, name: steps[0].test.name}) {
		return form{}
	}
	f := form{tag: steps[0].test.name}
	if len(steps) == 1 {
		return f
	}
	name := steps[1].test.name
	if !steps[1].is(attributeAxis, test{kind: exactName, name: name}) || isNamespaceDeclaration(name) {
		return form{}
	}
	f.attribute = name
	return f
}
