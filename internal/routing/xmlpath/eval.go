package xmlpath

import "slices"

// budget counts down the nodes that an evaluation may still visit. One whose
// budget is spent goes on with empty sets, and ends soon.
type budget struct{ left int }

// newBudget is generous to every path that visits each node of a body a few
// times, and stops those that visit all nodes for each.
func newBudget(d *Document) *budget { return &budget{1_000_000 + 32*len(d.nodes)} }

func (b *budget) spend(n int)  { b.left -= n }
func (b *budget) spent() bool  { return b.left < 0 }
func (c *context) spent() bool { return c.budget.spent() }

// context is what an expression is evaluated in, by XPath 1.0, 1.
type context struct {
	doc            *Document
	node           int32
	position, size int
	budget         *budget
}

// expr is a node of a compiled expression.
type expr interface {
	eval(c *context) value
	kind() valueKind
}

type literalExpr struct{ value value }

func (e literalExpr) eval(*context) value { return e.value }
func (e literalExpr) kind() valueKind     { return e.value.kind }

type negativeExpr struct{ of expr }

func (e *negativeExpr) eval(c *context) value { return numberOf(-e.of.eval(c).number(c)) }
func (e *negativeExpr) kind() valueKind       { return numberValue }

type callExpr struct {
	name      string
	arguments []expr
	call      func(c *context, arguments []expr) value
	result    valueKind
}

func (e *callExpr) eval(c *context) value { return e.call(c, e.arguments) }
func (e *callExpr) kind() valueKind       { return e.result }

type unionExpr struct{ parts []expr }

func (e *unionExpr) kind() valueKind { return nodesValue }

func (e *unionExpr) eval(c *context) value {
	var all []int32
	for _, part := range e.parts {
		all = append(all, part.eval(c).nodes...)
	}
	return nodesOf(inOrder(all))
}

// inOrder sorts nodes into document order, each once.
func inOrder(nodes []int32) []int32 {
	slices.Sort(nodes)
	return slices.Compact(nodes)
}

// filterExpr is a primary expression with predicates; they count in document
// order.
type filterExpr struct {
	of         expr
	predicates []expr
}

func (e *filterExpr) kind() valueKind { return nodesValue }

func (e *filterExpr) eval(c *context) value {
	return nodesOf(filter(c, e.of.eval(c).nodes, e.predicates))
}

// filter keeps the nodes, given in the order of their axis, for which every
// predicate holds.
func filter(c *context, nodes []int32, predicates []expr) []int32 {
	for _, predicate := range predicates {
		kept := nodes[:0:0]
		inner := *c
		inner.size = len(nodes)
		for i, n := range nodes {
			if inner.budget.spend(1); inner.spent() {
				return nil
			}
			inner.node, inner.position = n, i+1
			if holds(&inner, predicate.eval(&inner)) {
				kept = append(kept, n)
			}
		}
		nodes = kept
	}
	return nodes
}

// holds tells a predicate's truth: a number is compared with the position.
func holds(c *context, v value) bool {
	if v.kind == numberValue {
		return v.num == float64(c.position)
	}
	return v.boolean()
}

// pathExpr is a location path: from the root, from the context node or from
// the nodes of filter.
type pathExpr struct {
	absolute bool
	filter   expr
	steps    []step
}

type step struct {
	axis       axis
	test       test
	predicates []expr
}

// anyDepth is what // stands for.
var anyDepth = step{axis: descendantOrSelfAxis, test: test{kind: anyNode}}

func (s step) is(a axis, t test) bool {
	return s.axis == a && s.test == t && len(s.predicates) == 0
}

// simplified makes descendant::x of //x where no predicate can count positions
// among siblings.
func (e *pathExpr) simplified() *pathExpr {
	steps := e.steps[:0]
	for i := 0; i < len(e.steps); i++ {
		s := e.steps[i]
		if s.is(anyDepth.axis, anyDepth.test) && i+1 < len(e.steps) &&
			e.steps[i+1].axis == childAxis && len(e.steps[i+1].predicates) == 0 {
			i++
			s = step{axis: descendantAxis, test: e.steps[i].test}
		}
		steps = append(steps, s)
	}
	e.steps = steps
	return e
}

func (e *pathExpr) kind() valueKind { return nodesValue }

func (e *pathExpr) eval(c *context) value {
	nodes := []int32{c.node}
	switch {
	case e.filter != nil:
		nodes = e.filter.eval(c).nodes
	case e.absolute:
		nodes[0] = 0
	}
	for _, s := range e.steps {
		nodes = s.apply(c, nodes)
	}
	return nodesOf(nodes)
}

// apply takes a step from each node, and returns what it leads to in document
// order.
func (s *step) apply(c *context, from []int32) []int32 {
	var all []int32
	for _, n := range from {
		if c.spent() {
			return nil
		}
		begin := len(all)
		all = s.walk(c, n, all)
		if len(s.predicates) > 0 {
			kept := filter(c, all[begin:], s.predicates)
			all = append(all[:begin], kept...)
		}
	}
	if len(from) > 1 || s.axis.reverse() {
		return inOrder(all)
	}
	return all
}

type testKind uint8

const (
	exactName   testKind = iota
	anyName              // *
	anyOfPrefix          // prefix:*
	anyNode
	anyText
	anyComment
)

type test struct {
	kind testKind
	name string
}

// matches holds a node to the test; names count for the axis's principal kind
// of node only.
func (t *test) matches(d *Document, n int32, principal nodeKind) bool {
	kind := d.nodes[n].kind
	switch t.kind {
	case anyNode:
		return true
	case anyText:
		return kind == textNode
	case anyComment:
		return kind == commentNode
	case anyName:
		return kind == principal
	case anyOfPrefix:
		name := d.name(n)
		return kind == principal && string(name[:prefixLength(name)]) == t.name
	default:
		return kind == principal && string(d.name(n)) == t.name
	}
}
