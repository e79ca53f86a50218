package jsonpath

import "slices"

// evaluation follows paths through a document.
type evaluation struct {
	doc *Document
	// budget counts down the values that may still be visited. When it is
	// spent, nothing more is found and the evaluation ends soon.
	budget int
}

// newEvaluation is generous to every path that visits each value of a body a
// few times, and stops those that visit all values for each.
func newEvaluation(d *Document) *evaluation {
	return &evaluation{doc: d, budget: 1_000_000 + 32*len(d.nodes)}
}

// segment is one step of a path: selectors applied to each value, or with
// descend to each value and all that it contains.
type segment struct {
	descend   bool
	selectors []selector
}

// selector appends what it selects from a value.
type selector interface {
	selectFrom(e *evaluation, n int32, found []int32) []int32
}

// follow returns what segments lead to from n, in document order.
func (e *evaluation) follow(segments []segment, n int32) []int32 {
	from := []int32{n}
	for _, s := range segments {
		from = e.apply(s, from)
	}
	return from
}

func (e *evaluation) apply(s segment, from []int32) []int32 {
	if s.descend {
		from = e.withDescendants(from)
	}
	var found []int32
	for _, n := range from {
		if e.budget < 0 {
			return nil
		}
		for _, selected := range s.selectors {
			found = selected.selectFrom(e, n, found)
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// withDescendants adds to nodes, which are in document order, what they contain.
func (e *evaluation) withDescendants(nodes []int32) []int32 {
	var all []int32
	next := int32(0)
	for _, n := range nodes {
		for i := max(n, next); i < e.doc.nodes[n].end; i++ {
			all = append(all, i)
		}
		next = max(next, e.doc.nodes[n].end)
	}
	e.budget -= len(all)
	return all
}

// children calls visit with the members or elements of n, until it returns
// false.
func (e *evaluation) children(n int32, visit func(position int, child int32) bool) {
	position := 0
	for i := n + 1; i < e.doc.nodes[n].end; i = e.doc.nodes[i].end {
		if e.budget--; e.budget < 0 || !visit(position, i) {
			return
		}
		position++
	}
}

// nameSelector selects members; of several with one key all, in their order.
type nameSelector string

func (s nameSelector) selectFrom(e *evaluation, n int32, found []int32) []int32 {
	if e.doc.nodes[n].kind != objectStart {
		return found
	}
	e.children(n, func(_ int, child int32) bool {
		at := &e.doc.nodes[child]
		if sameKey(at.key.of(e.doc.body), at.keyEscaped, string(s)) {
			found = append(found, child)
		}
		return true
	})
	return found
}

// indexSelector selects an element; from the end when it is negative.
type indexSelector int

func (s indexSelector) selectFrom(e *evaluation, n int32, found []int32) []int32 {
	if e.doc.nodes[n].kind != arrayStart {
		return found
	}
	want := int(s)
	if want < 0 {
		want += e.doc.length(n)
	}
	e.children(n, func(position int, child int32) bool {
		if position == want {
			found = append(found, child)
		}
		return position < want
	})
	return found
}

type wildcardSelector struct{}

func (wildcardSelector) selectFrom(e *evaluation, n int32, found []int32) []int32 {
	e.children(n, func(_ int, child int32) bool {
		found = append(found, child)
		return true
	})
	return found
}

// sliceSelector selects elements as RFC 9535, 2.3.4 has it.
type sliceSelector struct {
	from, to *int
	step     int
}

func (s sliceSelector) selectFrom(e *evaluation, n int32, found []int32) []int32 {
	if e.doc.nodes[n].kind != arrayStart || s.step == 0 {
		return found
	}
	lower, upper, stride, origin := s.bounds(e.doc.length(n))
	e.children(n, func(position int, child int32) bool {
		if position >= lower && position < upper && (position-origin)%stride == 0 {
			found = append(found, child)
		}
		return position < upper
	})
	return found
}

// bounds are the positions lower <= p < upper that are whole strides away from
// origin. A negative step selects backwards; the order does not matter here.
func (s sliceSelector) bounds(length int) (lower, upper, stride, origin int) {
	normal := func(bound *int, otherwise int) int {
		if bound == nil {
			return otherwise
		}
		if *bound < 0 {
			return *bound + length
		}
		return *bound
	}
	if s.step > 0 {
		lower = min(max(normal(s.from, 0), 0), length)
		upper = min(max(normal(s.to, length), 0), length)
		return lower, upper, s.step, lower
	}
	first := min(max(normal(s.from, length-1), -1), length-1)
	last := min(max(normal(s.to, -1-length), -1), length-1)
	return last + 1, first + 1, -s.step, first
}

// filterSelector selects the members or elements for which the test holds.
type filterSelector struct{ test condition }

func (s filterSelector) selectFrom(e *evaluation, n int32, found []int32) []int32 {
	e.children(n, func(_ int, child int32) bool {
		if s.test.holds(e, child) {
			found = append(found, child)
		}
		return true
	})
	return found
}
