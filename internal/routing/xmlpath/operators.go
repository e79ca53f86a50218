package xmlpath

import "math"

type binaryExpr struct {
	operator    string
	left, right expr
}

func (e *binaryExpr) kind() valueKind {
	switch e.operator {
	case "+", "-", "*", "div", "mod":
		return numberValue
	default:
		return booleanValue
	}
}

func (e *binaryExpr) eval(c *context) value {
	switch e.operator {
	case "or":
		return booleanOf(e.left.eval(c).boolean() || e.right.eval(c).boolean())
	case "and":
		return booleanOf(e.left.eval(c).boolean() && e.right.eval(c).boolean())
	case "+", "-", "*", "div", "mod":
		return numberOf(arithmetic(e.operator, e.left.eval(c).number(c), e.right.eval(c).number(c)))
	default:
		return booleanOf(compare(c, e.operator, e.left.eval(c), e.right.eval(c)))
	}
}

func arithmetic(operator string, a, b float64) float64 {
	switch operator {
	case "+":
		return a + b
	case "-":
		return a - b
	case "*":
		return a * b
	case "div":
		return a / b
	default:
		return math.Mod(a, b)
	}
}

// compare follows XPath 1.0, 3.4: with a set of nodes on a side, one node for
// which the comparison holds is enough.
func compare(c *context, operator string, a, b value) bool {
	switch {
	case a.kind == nodesValue && b.kind == booleanValue, a.kind == booleanValue && b.kind == nodesValue:
		return compareSingle(c, operator, booleanOf(a.boolean()), booleanOf(b.boolean()))
	case a.kind == nodesValue:
		for _, n := range a.nodes {
			if c.spent() {
				return false
			}
			if compare(c, operator, nodeAs(c, n, b.kind), b) {
				return true
			}
		}
		return false
	case b.kind == nodesValue:
		for _, n := range b.nodes {
			if c.budget.spend(1); c.spent() {
				return false
			}
			if compareSingle(c, operator, a, nodeAs(c, n, a.kind)) {
				return true
			}
		}
		return false
	}
	return compareSingle(c, operator, a, b)
}

// nodeAs is a node as what it is compared with.
func nodeAs(c *context, n int32, kind valueKind) value {
	text := textOf(nodesOf([]int32{n}).string(c))
	if kind == numberValue {
		return numberOf(text.number(c))
	}
	return text
}

func compareSingle(c *context, operator string, a, b value) bool {
	if operator != "=" && operator != "!=" {
		return ordered(operator, a.number(c), b.number(c))
	}
	var equal bool
	switch {
	case a.kind == booleanValue || b.kind == booleanValue:
		equal = a.boolean() == b.boolean()
	case a.kind == numberValue || b.kind == numberValue:
		equal = a.number(c) == b.number(c)
	default:
		equal = a.str == b.str
	}
	return equal == (operator == "=")
}

func ordered(operator string, a, b float64) bool {
	switch operator {
	case "<":
		return a < b
	case "<=":
		return a <= b
	case ">":
		return a > b
	default:
		return a >= b
	}
}
