package xmlpath

import "slices"

type axis uint8

const (
	childAxis axis = iota
	descendantAxis
	descendantOrSelfAxis
	parentAxis
	ancestorAxis
	ancestorOrSelfAxis
	followingAxis
	followingSiblingAxis
	precedingAxis
	precedingSiblingAxis
	attributeAxis
	selfAxis
)

var axes = map[string]axis{
	"child": childAxis, "descendant": descendantAxis, "descendant-or-self": descendantOrSelfAxis,
	"parent": parentAxis, "ancestor": ancestorAxis, "ancestor-or-self": ancestorOrSelfAxis,
	"following": followingAxis, "following-sibling": followingSiblingAxis,
	"preceding": precedingAxis, "preceding-sibling": precedingSiblingAxis,
	"attribute": attributeAxis, "self": selfAxis,
}

// reverse tells the axes that count against document order.
func (a axis) reverse() bool {
	switch a {
	case ancestorAxis, ancestorOrSelfAxis, precedingAxis, precedingSiblingAxis:
		return true
	default:
		return false
	}
}

// walker collects the nodes of an axis that match a test.
type walker struct {
	*context
	test      *test
	principal nodeKind
	found     []int32
}

func (w *walker) visit(n int32) {
	w.budget.spend(1)
	if w.test.matches(w.doc, n, w.principal) {
		w.found = append(w.found, n)
	}
}

// walk appends what the step's axis and test lead to from n, in the order of
// the axis.
func (s *step) walk(c *context, n int32, found []int32) []int32 {
	w := walker{context: c, test: &s.test, principal: elementNode, found: found}
	switch s.axis {
	case childAxis:
		w.children(n)
	case descendantAxis:
		w.descendants(n+1, c.doc.nodes[n].end)
	case descendantOrSelfAxis:
		w.visit(n)
		w.descendants(n+1, c.doc.nodes[n].end)
	case parentAxis:
		w.ancestors(c.doc.nodes[n].parent, 1)
	case ancestorAxis:
		w.ancestors(c.doc.nodes[n].parent, -1)
	case ancestorOrSelfAxis:
		w.ancestors(n, -1)
	case followingAxis:
		w.following(n)
	case followingSiblingAxis:
		w.followingSiblings(n)
	case precedingAxis:
		w.preceding(n)
	case precedingSiblingAxis:
		w.precedingSiblings(n)
	case attributeAxis:
		w.principal = attributeNode
		w.attributes(n)
	case selfAxis:
		w.visit(n)
	}
	return w.found
}

func (w *walker) children(n int32) {
	for i := w.doc.firstChild(n); i >= 0; i = w.doc.next(i) {
		w.visit(i)
	}
}

// descendants visits from..to but for attributes.
func (w *walker) descendants(from, to int32) {
	for i := from; i < to; i++ {
		if !w.doc.isAttribute(i) {
			w.visit(i)
		}
	}
}

// ancestors visits n and upwards, at most so many.
func (w *walker) ancestors(n int32, most int) {
	for ; n >= 0 && most != 0; most-- {
		w.visit(n)
		n = w.doc.nodes[n].parent
	}
}

// following begins behind the descendants of n; behind an attribute come the
// children of its element.
func (w *walker) following(n int32) {
	w.descendants(w.doc.nodes[n].end, int32(len(w.doc.nodes)))
}

func (w *walker) followingSiblings(n int32) {
	if w.doc.isAttribute(n) {
		return
	}
	for i := w.doc.next(n); i >= 0; i = w.doc.next(i) {
		w.visit(i)
	}
}

// preceding visits what ends before n begins, backwards: all but ancestors and
// attributes.
func (w *walker) preceding(n int32) {
	if w.doc.isAttribute(n) {
		n = w.doc.nodes[n].parent
	}
	ancestor := w.doc.nodes[n].parent
	for i := n - 1; i >= 0; i-- {
		if i == ancestor {
			ancestor = w.doc.nodes[i].parent
			continue
		}
		if !w.doc.isAttribute(i) {
			w.visit(i)
		}
	}
}

func (w *walker) precedingSiblings(n int32) {
	parent := w.doc.nodes[n].parent
	if parent < 0 || w.doc.isAttribute(n) {
		return
	}
	var siblings []int32
	for i := w.doc.firstChild(parent); i >= 0 && i < n; i = w.doc.next(i) {
		w.budget.spend(1)
		siblings = append(siblings, i)
	}
	for _, n := range slices.Backward(siblings) {
		w.visit(n)
	}
}

func (w *walker) attributes(n int32) {
	if w.doc.nodes[n].kind != elementNode {
		return
	}
	for i := n + 1; i < w.doc.nodes[n].end && w.doc.isAttribute(i); i++ {
		if w.doc.nodes[i].kind == attributeNode {
			w.visit(i)
		}
	}
}
