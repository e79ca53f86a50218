package expression

import (
	"slices"

	"github.com/expr-lang/expr/ast"
)

func (t *translator) binary(n *ast.BinaryNode, lenient bool) typed {
	switch n.Operator {
	case "+":
		return t.plus(n)
	case "-", "*", "/", "%":
		return t.arithmetic(n)
	case "==", "!=":
		return t.equality(n)
	case "<", ">", "<=", ">=":
		return t.ordering(n)
	case "and", "or", "&&", "||":
		n.Left, n.Right = t.flag(n.Left, n.Operator), t.flag(n.Right, n.Operator)
		return typed{n, flagKind}
	case "contains", "startsWith", "endsWith":
		n.Left, n.Right = t.text(n.Left, n.Operator), t.text(n.Right, n.Operator)
		return typed{n, flagKind}
	case "matches":
		left := t.text(n.Left, "matches")
		return typed{machineCall(n, "matchesPart", left, t.pattern(n.Right, goPattern)), flagKind}
	case "in":
		return t.in(n)
	case "??":
		return t.elvis(n, n.Left, n.Right, lenient)
	}
	t.fail(n, "the operator %s is not supported", n.Operator)
	return typed{}
}

// plus adds numbers, and joins everything else to a text.
func (t *translator) plus(n *ast.BinaryNode) typed {
	left, right := t.part(n.Left), t.part(n.Right)
	if left.kind.isNumber() && right.kind.isNumber() {
		n.Left, n.Right = left.node, right.node
		return typed{n, numberOf(left.kind, right.kind)}
	}
	if left.kind != textKind && right.kind != textKind {
		t.fail(n, "+ joins texts or adds numbers, not %s and %s", left.kind, right.kind)
	}
	return typed{t.joined(n, t.asText(n.Left, left), t.asText(n.Right, right)), textKind}
}

func numberOf(a, b kind) kind {
	if a == floatKind || b == floatKind {
		return floatKind
	}
	return wholeKind
}

// asText makes a text of a number or a condition that is joined to one.
func (t *translator) asText(from ast.Node, part typed) ast.Node {
	switch part.kind {
	case textKind:
		return part.node
	case listKind, nullKind:
		t.fail(from, "+ needs a text, not %s", part.kind)
	}
	return machineCall(from, "string", part.node)
}

// joined makes one call of a chain of +, and one text of texts that stand side
// by side in the source.
func (t *translator) joined(n, left, right ast.Node) ast.Node {
	parts := append(slices.Clone(joinedParts(left)), joinedParts(right)...)
	merged := parts[:1]
	for _, part := range parts[1:] {
		before, ok := merged[len(merged)-1].(*ast.StringNode)
		if text, also := part.(*ast.StringNode); ok && also {
			merged[len(merged)-1] = at(before, &ast.StringNode{Value: before.Value + text.Value})
			continue
		}
		merged = append(merged, part)
	}
	if len(merged) == 1 {
		return merged[0]
	}
	return machineCall(n, "concat", merged...)
}

func joinedParts(n ast.Node) []ast.Node {
	if call, ok := n.(*ast.CallNode); ok {
		if callee, ok := call.Callee.(*ast.IdentifierNode); ok && callee.Value == "concat" {
			return call.Arguments
		}
	}
	return []ast.Node{n}
}

func (t *translator) arithmetic(n *ast.BinaryNode) typed {
	left, right := t.part(n.Left), t.part(n.Right)
	if !left.kind.isNumber() || !right.kind.isNumber() {
		if n.Operator == "-" {
			t.fail(n, "- subtracts numbers, not %s and %s; join texts by + '-' +", left.kind, right.kind)
		}
		t.fail(n, "%s needs numbers, not %s and %s", n.Operator, left.kind, right.kind)
	}
	both := numberOf(left.kind, right.kind)
	switch {
	case n.Operator == "/" && both == wholeKind:
		return typed{machineCall(n, "quotient", left.node, right.node), wholeKind}
	case n.Operator == "%" && both == wholeKind:
		return typed{machineCall(n, "remainder", left.node, right.node), wholeKind}
	case n.Operator == "%":
		t.fail(n, "%% needs whole numbers")
	}
	n.Left, n.Right = left.node, right.node
	return typed{n, both}
}

// equality compares like with like. A side that is compared with an empty text or
// null may be a variable without a value.
func (t *translator) equality(n *ast.BinaryNode) typed {
	left, right := t.passed(n.Left, isEmptyText(n.Right)), t.passed(n.Right, isEmptyText(n.Left))
	left, right = emptyForNull(left), emptyForNull(right)
	if left.kind != right.kind && (!left.kind.isNumber() || !right.kind.isNumber()) {
		t.fail(n, "%s compares %s with %s; they must be alike", n.Operator, left.kind, right.kind)
	}
	if left.kind == listKind {
		t.fail(n, "%s does not compare lists; compare their texts", n.Operator)
	}
	n.Left, n.Right = left.node, right.node
	return typed{n, flagKind}
}

// isEmptyText tells an empty text and null.
func isEmptyText(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value == ""
	case *ast.NilNode:
		return true
	default:
		return false
	}
}

// emptyForNull reads null as the empty text: what is absent is empty here.
func emptyForNull(part typed) typed {
	if part.kind == nullKind {
		return typed{at(part.node, &ast.StringNode{}), textKind}
	}
	return part
}

func (t *translator) ordering(n *ast.BinaryNode) typed {
	left, right := t.part(n.Left), t.part(n.Right)
	texts := left.kind == textKind && right.kind == textKind
	if !texts && (!left.kind.isNumber() || !right.kind.isNumber()) {
		t.fail(n, "%s compares two texts or two numbers, not %s and %s", n.Operator, left.kind, right.kind)
	}
	n.Left, n.Right = left.node, right.node
	return typed{n, flagKind}
}

// in looks for a text in a list, or for a name among headers and variables.
func (t *translator) in(n *ast.BinaryNode) typed {
	if from, ok := collection(n.Right); ok {
		return t.has(n, from, n.Left)
	}
	left := t.text(n.Left, "in")
	if list, ok := n.Right.(*ast.ArrayNode); ok {
		arguments := []ast.Node{left}
		for _, element := range list.Nodes {
			arguments = append(arguments, t.text(element, "a list"))
		}
		return typed{machineCall(n, "isOneOf", arguments...), flagKind}
	}
	right := t.part(n.Right)
	if right.kind != listKind {
		t.fail(n.Right, "in needs a list, as in value in ['a', 'b'], not %s", right.kind)
	}
	return typed{machineCall(n, "isIn", left, right.node), flagKind}
}
