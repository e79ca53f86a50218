package expression

import (
	"fmt"
	"slices"
	"strings"

	"github.com/expr-lang/expr/ast"
)

// kind is the type of a part of an expression.
type kind uint8

const (
	textKind kind = iota
	wholeKind
	floatKind
	flagKind
	listKind
	nullKind
)

// String names the kind in messages.
func (k kind) String() string {
	return [...]string{"a text", "a number", "a number", "a condition", "a list of texts", "null"}[k]
}

func (k kind) isNumber() bool { return k == wholeKind || k == floatKind }

// typed is a translated part and what it yields.
type typed struct {
	node ast.Node
	kind kind
}

// translator turns the tree that the parser made into one that the machine may
// run: methods, slices and names become calls of our functions, and what is not
// known is refused. It stops at the first problem by panicking with a *problem,
// which translate recovers.
type translator struct {
	env       Env
	usesValue bool
	warnings  []*problem
	// lenient tells that what is around the next part accepts a variable without a
	// value, as the left side of ?: does.
	lenient bool
}

func (t *translator) translate(root ast.Node) (result ast.Node, err *problem) {
	defer func() {
		if r := recover(); r != nil {
			found, ok := r.(*problem)
			if !ok {
				panic(r)
			}
			err = found
		}
	}()
	out := t.part(root)
	switch out.kind {
	case textKind:
		return out.node, nil
	case wholeKind, floatKind:
		t.fail(root, "the result is a number; join it to a text, as in '' + (value.length())")
	}
	t.fail(root, "the result is %s; it must be a text", out.kind)
	return nil, nil
}

func (t *translator) fail(n ast.Node, format string, args ...any) {
	panic(&problem{n.Location().From, fmt.Sprintf(format, args...)})
}

// part translates any part. A variable without a value is accepted only where
// the caller set lenient, and only by the part itself.
func (t *translator) part(n ast.Node) typed {
	lenient := t.lenient
	t.lenient = false
	switch n := n.(type) {
	case *ast.StringNode:
		return typed{n, textKind}
	case *ast.IntegerNode:
		return typed{n, wholeKind}
	case *ast.FloatNode:
		return typed{n, floatKind}
	case *ast.BoolNode:
		return typed{n, flagKind}
	case *ast.NilNode:
		return typed{n, nullKind}
	case *ast.IdentifierNode:
		return t.name(n, lenient)
	case *ast.UnaryNode:
		return t.unary(n)
	case *ast.BinaryNode:
		return t.binary(n, lenient)
	case *ast.ChainNode:
		return t.passed(n.Node, lenient)
	case *ast.MemberNode:
		return t.member(n, lenient)
	case *ast.SliceNode:
		return t.slice(n)
	case *ast.CallNode:
		return t.call(n, lenient)
	case *ast.BuiltinNode:
		return t.function(n, n.Name, n.Arguments, lenient)
	case *ast.ConditionalNode:
		return t.conditional(n, lenient)
	}
	t.refuse(n)
	return typed{}
}

// passed translates a part that inherits what is accepted.
func (t *translator) passed(n ast.Node, lenient bool) typed {
	t.lenient = lenient
	return t.part(n)
}

// refuse names what the language leaves out.
func (t *translator) refuse(n ast.Node) {
	switch n.(type) {
	case *ast.ArrayNode:
		t.fail(n, "a list may stand only behind in, as in value in ['a', 'b']")
	case *ast.BytesNode:
		t.fail(n, "bytes are not supported; write a text without the b")
	default:
		t.fail(n, "this construct of expr is not supported; expressions know texts, numbers, conditions and cond ? a : b")
	}
}

// text translates a part that must be a text.
func (t *translator) text(n ast.Node, what string) ast.Node {
	out := t.part(n)
	if out.kind != textKind {
		t.fail(n, "%s needs a text, not %s", what, out.kind)
	}
	return out.node
}

// flag translates a part that must be a condition.
func (t *translator) flag(n ast.Node, what string) ast.Node {
	out := t.part(n)
	if out.kind != flagKind {
		t.fail(n, "%s needs a condition, not %s; compare it with something", what, out.kind)
	}
	return out.node
}

func (t *translator) unary(n *ast.UnaryNode) typed {
	if n.Operator == "!" || n.Operator == "not" {
		n.Node = t.flag(n.Node, n.Operator)
		return typed{n, flagKind}
	}
	out := t.part(n.Node)
	if !out.kind.isNumber() {
		t.fail(n, "%s needs a number, not %s", n.Operator, out.kind)
	}
	if whole, ok := out.node.(*ast.IntegerNode); ok && n.Operator == "-" {
		return typed{at(n, &ast.IntegerNode{Value: -whole.Value}), wholeKind}
	}
	n.Node = out.node
	return typed{n, out.kind}
}

// conditional is cond ? a : b, and a ?: b, of which the parser makes a ? a : b
// with one node for both.
func (t *translator) conditional(n *ast.ConditionalNode, lenient bool) typed {
	if n.Cond == n.Exp1 {
		return t.elvis(n, n.Cond, n.Exp2, lenient)
	}
	n.Cond = t.flag(n.Cond, "?")
	first, second := t.passed(n.Exp1, lenient), t.passed(n.Exp2, lenient)
	if first.kind != second.kind {
		t.fail(n.Exp2, "the two results of ? are %s and %s; they must be alike", first.kind, second.kind)
	}
	n.Exp1, n.Exp2 = first.node, second.node
	return typed{n, first.kind}
}

// elvis is a ?: b: a, unless that is empty. On its left a variable may be
// without a value.
func (t *translator) elvis(n, left, right ast.Node, lenient bool) typed {
	first := t.passed(left, true)
	if first.kind != textKind {
		t.fail(left, "?: needs a text on its left, not %s", first.kind)
	}
	second := t.passed(right, lenient)
	if second.kind != textKind {
		t.fail(right, "?: needs a text on its right, not %s", second.kind)
	}
	return typed{at(n, &ast.BinaryNode{
		Operator: "??", Left: machineCall(left, "nonEmpty", first.node), Right: second.node,
	}), textKind}
}

// at gives a new node the place of the one that it stands for.
func at(from, to ast.Node) ast.Node {
	to.SetLocation(from.Location())
	return to
}

// machineCall calls one of machineFunctions.
func machineCall(from ast.Node, name string, arguments ...ast.Node) ast.Node {
	if _, ok := machineFunctions[name]; !ok {
		panic("no machine function " + name)
	}
	callee := at(from, &ast.IdentifierNode{Value: name})
	return at(from, &ast.CallNode{Callee: callee, Arguments: arguments})
}

// constant is a Go value as a node.
func constant(from ast.Node, value any) ast.Node {
	return at(from, &ast.ConstantNode{Value: value})
}

// scope is the argument that carries the message.
func scope(from ast.Node) ast.Node { return at(from, &ast.IdentifierNode{Value: "$env"}) }

// quoteHint tells that a source which does not compile is the bare name of a
// service, which Go and Java both read as a subtraction.
func quoteHint(source string, env Env) string {
	name := strings.TrimSpace(source)
	if !strings.ContainsAny(name, "-.:") || strings.Trim(name, serviceCharacters) != "" {
		return ""
	}
	for _, part := range strings.FieldsFunc(name, func(r rune) bool { return r == '-' || r == '.' || r == ':' }) {
		if slices.Contains(append(env.names(), env.Later...), part) {
			return ""
		}
	}
	return fmt.Sprintf("%s is read as a subtraction of unknown names; put the name of a service in quotes: \"'%s'\"", name, name)
}

const serviceCharacters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.:"
