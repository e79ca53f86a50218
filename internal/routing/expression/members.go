package expression

import (
	"maps"
	"regexp"
	"slices"

	"github.com/expr-lang/expr/ast"

	"mqgateway/internal/field"
)

// member is variables['Name'], headers.Name, text[0] or list[0].
func (t *translator) member(n *ast.MemberNode, lenient bool) typed {
	if from, ok := collection(n.Node); ok {
		return t.read(n, from, n.Property, lenient)
	}
	of := t.part(n.Node)
	if name, ok := n.Property.(*ast.StringNode); ok {
		if name.Value == "length" && of.kind == listKind {
			return typed{machineCall(n, "listLength", of.node), wholeKind}
		}
		t.fail(n, "%s has no property %q; methods are called with parentheses, as in value.length()", of.kind, name.Value)
	}
	index := t.bound(n.Property, "[ ]")
	switch of.kind {
	case textKind:
		return typed{machineCall(n, "character", of.node, index), textKind}
	case listKind:
		return typed{machineCall(n, "element", of.node, index), textKind}
	}
	t.fail(n, "%s has no elements", of.kind)
	return typed{}
}

// slice is text[from:to].
func (t *translator) slice(n *ast.SliceNode) typed {
	of := t.text(n.Node, "a slice")
	if n.From == nil && n.To == nil {
		return typed{of, textKind}
	}
	from := at(n, &ast.IntegerNode{})
	if n.From != nil {
		from = t.bound(n.From, "a slice")
	}
	if n.To == nil {
		return typed{machineCall(n, "sliceFrom", of, from), textKind}
	}
	return typed{machineCall(n, "slice", of, from, t.bound(n.To, "a slice")), textKind}
}

// bound is a place in a text or list. A negative literal counts from the end;
// a computed place that comes out negative is an error: the text was shorter
// than expected.
func (t *translator) bound(n ast.Node, what string) ast.Node {
	out := t.part(n)
	if out.kind != wholeKind {
		t.fail(n, "%s needs whole numbers, not %s", what, out.kind)
	}
	if _, literal := out.node.(*ast.IntegerNode); literal {
		return out.node
	}
	return machineCall(n, "computedPlace", out.node)
}

// call is a method, or a function that expr does not know itself.
func (t *translator) call(n *ast.CallNode, lenient bool) typed {
	switch callee := n.Callee.(type) {
	case *ast.IdentifierNode:
		return t.function(n, callee.Value, n.Arguments, lenient)
	case *ast.MemberNode:
		name, ok := callee.Property.(*ast.StringNode)
		if !ok {
			break
		}
		if from, ok := collection(callee.Node); ok {
			return t.collectionMethod(n, from, name.Value, lenient)
		}
		return t.method(n, callee.Node, name.Value, lenient)
	}
	t.fail(n, "only functions and methods can be called")
	return typed{}
}

// collectionMethod is get and containsKey of Java's maps.
func (t *translator) collectionMethod(n *ast.CallNode, from, name string, lenient bool) typed {
	switch {
	case name == "get" && len(n.Arguments) == 1:
		return t.read(n, from, n.Arguments[0], lenient)
	case name == "containsKey" && len(n.Arguments) == 1:
		return t.has(n, from, n.Arguments[0])
	}
	t.fail(n, "%s.%s() is not supported; write %s['Name']", from, name, from)
	return typed{}
}

func (t *translator) method(n *ast.CallNode, receiver ast.Node, name string, lenient bool) typed {
	signature, ok := methods[name]
	if !ok {
		t.fail(n, "unknown method %s()%s", name, field.Suggest(name, slices.Sorted(maps.Keys(methods))))
	}
	if given := len(n.Arguments); given+1 < signature.least || given+1 > len(signature.parameters) {
		t.fail(n, "%s() does not take %d arguments", name, given)
	}
	return t.invoke(n, name, signature, append([]ast.Node{receiver}, n.Arguments...), lenient)
}

func (t *translator) function(n ast.Node, name string, arguments []ast.Node, lenient bool) typed {
	signature, ok := functions[name]
	if name == "len" && len(arguments) == 1 {
		return t.length(n, arguments[0])
	}
	if name == "concat" && len(arguments) > 0 {
		return t.concat(n, arguments)
	}
	if !ok {
		names := append(slices.Sorted(maps.Keys(functions)), "len")
		t.fail(n, "unknown function %s()%s", name, field.Suggest(name, names))
	}
	if given := len(arguments); given < signature.least || given > len(signature.parameters) {
		t.fail(n, "%s() does not take %d arguments", name, given)
	}
	return t.invoke(n, name, signature, arguments, lenient)
}

func (t *translator) length(n, argument ast.Node) typed {
	switch of := t.part(argument); of.kind {
	case textKind:
		return typed{machineCall(n, "length", of.node), wholeKind}
	case listKind:
		return typed{machineCall(n, "listLength", of.node), wholeKind}
	default:
		t.fail(argument, "len() needs a text or a list, not %s", of.kind)
	}
	return typed{}
}

func (t *translator) concat(n ast.Node, arguments []ast.Node) typed {
	all := t.text(arguments[0], "concat()")
	for _, argument := range arguments[1:] {
		all = t.joined(n, all, t.text(argument, "concat()"))
	}
	return typed{all, textKind}
}

// invoke holds arguments, of which there are enough, to a signature. Functions that
// leave the empty text empty accept a variable without a value where their result may be empty.
func (t *translator) invoke(n ast.Node, name string, s signature, arguments []ast.Node, lenient bool) typed {
	if s.calls == "equals" {
		return t.equality(at(n, &ast.BinaryNode{Operator: "==", Left: arguments[0], Right: arguments[1]}).(*ast.BinaryNode))
	}
	call := make([]ast.Node, len(arguments))
	for i, argument := range arguments {
		t.lenient = i == 0 && lenient && s.keepsEmpty
		call[i] = t.argument(name, argument, s.parameters[i])
	}
	t.lenient = false
	if s.calls == "replaceAll" || s.calls == "replaceFirst" {
		t.checkReplacement(arguments[2], call)
	}
	if s.calls == "concat" {
		return typed{t.joined(n, call[0], call[1]), textKind}
	}
	return typed{machineCall(n, s.calls, call...), s.result}
}

// checkReplacement holds a literal replacement to the groups of its pattern.
func (t *translator) checkReplacement(n ast.Node, call []ast.Node) {
	with, literal := call[2].(*ast.StringNode)
	re, ok := call[1].(*ast.ConstantNode)
	if !literal || !ok {
		return
	}
	if _, err := expansions(with.Value, re.Value.(*regexp.Regexp)); err != nil {
		t.fail(n, "%s", err)
	}
}

func (t *translator) argument(name string, n ast.Node, p parameter) ast.Node {
	switch p {
	case anyParameter:
		return t.part(n).node
	case javaPatternParameter:
		return t.pattern(n, javaPattern)
	case javaWholePatternParameter:
		return t.pattern(n, javaWholePattern)
	}
	want := map[parameter]kind{textParameter: textKind, wholeParameter: wholeKind, listParameter: listKind}[p]
	out := t.part(n)
	if out.kind != want {
		t.fail(n, "%s() needs %s here, not %s", name, want, out.kind)
	}
	return out.node
}
