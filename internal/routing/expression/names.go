package expression

import (
	"fmt"
	"slices"

	"github.com/expr-lang/expr/ast"

	"mqgateway/internal/field"
	"mqgateway/internal/flow"
)

// Reserved tells a name that no variable may have.
func Reserved(name string) bool {
	switch name {
	case "value", "variables", "headers", "userHeaders", "true", "false", "nil", "null":
		return true
	default:
		return false
	}
}

// names are those that may stand alone.
func (e Env) names() []string {
	names := slices.Clone(e.Variables)
	if e.Value {
		names = append(names, "value")
	}
	return append(names, "variables", "headers", "userHeaders")
}

// name is a name that stands alone: value or a variable.
func (t *translator) name(n *ast.IdentifierNode, lenient bool) typed {
	switch n.Value {
	case "value":
		if !t.env.Value {
			t.fail(n, "value is known only to the expr of a rule's result; read a variable here")
		}
		t.usesValue = true
		return typed{machineCall(n, "value", scope(n)), textKind}
	case "variables", "headers", "userHeaders":
		t.fail(n, "%s needs the name of what to read, as in %s['Name']", n.Value, n.Value)
	}
	if i := slices.Index(t.env.Variables, n.Value); i >= 0 {
		return t.variable(n, i, lenient)
	}
	t.checkLater(n, n.Value)
	t.fail(n, "unknown name %q (put it in quotes if it is a text)%s", n.Value, field.Suggest(n.Value, t.env.names()))
	return typed{}
}

// variable reads a variable. One without a value is an error, unless lenient.
func (t *translator) variable(n ast.Node, index int, lenient bool) typed {
	function := "variable"
	if lenient {
		function = "variableOrEmpty"
	}
	name := constant(n, t.env.Variables[index])
	return typed{machineCall(n, function, scope(n), at(n, &ast.IntegerNode{Value: index}), name), textKind}
}

func (t *translator) checkLater(n ast.Node, name string) {
	if slices.Contains(t.env.Later, name) {
		t.fail(n, "variable %q is computed only after this one; put it before", name)
	}
}

// collection is the name of variables, headers or userHeaders, if n is one.
func collection(n ast.Node) (string, bool) {
	if chain, ok := n.(*ast.ChainNode); ok {
		n = chain.Node
	}
	identifier, ok := n.(*ast.IdentifierNode)
	if !ok {
		return "", false
	}
	switch identifier.Value {
	case "variables", "headers", "userHeaders":
		return identifier.Value, true
	default:
		return "", false
	}
}

// read is an element of a collection: variables['Name'] and the like.
func (t *translator) read(n ast.Node, from string, key ast.Node, lenient bool) typed {
	out := t.part(key)
	if out.kind != textKind {
		t.fail(key, "%s is read by a name in quotes, not by %s", from, out.kind)
	}
	name, fixed := out.node.(*ast.StringNode)
	switch {
	case from == "userHeaders":
		return typed{machineCall(n, "userHeader", scope(n), out.node), textKind}
	case from == "headers" && fixed:
		return typed{machineCall(n, "header", scope(n), t.property(key, name.Value)), textKind}
	case from == "headers":
		return typed{machineCall(n, "headerNamed", scope(n), out.node), textKind}
	case fixed:
		return t.variable(n, t.declared(key, name.Value), lenient)
	default:
		function := "variableNamed"
		if lenient {
			function = "variableNamedOrEmpty"
		}
		return typed{machineCall(n, function, scope(n), constant(n, &t.env.Variables), out.node), textKind}
	}
}

// declared is the index of a variable, which must be known.
func (t *translator) declared(n ast.Node, name string) int {
	i := slices.Index(t.env.Variables, name)
	if i < 0 {
		t.checkLater(n, name)
		t.fail(n, "variable %q is not declared%s", name, field.Suggest(name, t.env.Variables))
	}
	return i
}

// property is a system header, which must be known; nil for one that never has
// a value.
func (t *translator) property(n ast.Node, name string) ast.Node {
	p, ok := flow.PropertyByName(name)
	switch {
	case !ok && !flow.ForeignProperty(name):
		t.fail(n, "unknown system header %q%s", name, field.Suggest(name, flow.PropertyNames()))
	case !ok:
		t.warnings = append(t.warnings, &problem{
			n.Location().From, fmt.Sprintf("system header %q is never set by a broker of ours: it reads as empty", name),
		})
	}
	return constant(n, p)
}

// has is name in variables, and containsKey.
func (t *translator) has(n ast.Node, from string, key ast.Node) typed {
	out := t.part(key)
	if out.kind != textKind {
		t.fail(key, "%s is read by a name in quotes, not by %s", from, out.kind)
	}
	if from == "variables" {
		return typed{machineCall(n, "hasVariable", scope(n), constant(n, &t.env.Variables), out.node), flagKind}
	}
	function := map[string]string{"headers": "hasHeader", "userHeaders": "hasUserHeader"}[from]
	return typed{machineCall(n, function, scope(n), out.node), flagKind}
}
