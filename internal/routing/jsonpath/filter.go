package jsonpath

import (
	"cmp"
	"strconv"
	"strings"
)

// condition is a part of a filter.
type condition interface {
	holds(e *evaluation, n int32) bool
}

type either []condition

func (all either) holds(e *evaluation, n int32) bool {
	for _, c := range all {
		if c.holds(e, n) {
			return true
		}
	}
	return false
}

type both []condition

func (all both) holds(e *evaluation, n int32) bool {
	for _, c := range all {
		if !c.holds(e, n) {
			return false
		}
	}
	return true
}

// query is a path inside a filter, from the current value (@) or the root ($).
type query struct {
	fromRoot bool
	segments []segment
}

func (q query) follow(e *evaluation, n int32) []int32 {
	if q.fromRoot {
		n = 0
	}
	return e.follow(q.segments, n)
}

// holds is the test for existence: a value is there, whatever it is.
func (q query) holds(e *evaluation, n int32) bool { return len(q.follow(e, n)) > 0 }

// single tells a path that leads to one value at most.
func (q query) single() bool {
	for _, s := range q.segments {
		if s.descend || len(s.selectors) != 1 {
			return false
		}
		switch s.selectors[0].(type) {
		case nameSelector, indexSelector:
		default:
			return false
		}
	}
	return true
}

// operand is a side of a comparison: a query, or a literal where that is nil.
type operand struct {
	query   *query
	literal scalar
}

// scalar is a value that can be compared. Objects and arrays equal only nothing.
type scalar struct {
	kind tokenKind // endOfBody for no value
	text string
}

func (o operand) value(e *evaluation, n int32) scalar {
	if o.query == nil {
		return o.literal
	}
	found := o.query.follow(e, n)
	if len(found) == 0 {
		return scalar{kind: endOfBody}
	}
	at := &e.doc.nodes[found[0]]
	if at.kind == objectStart || at.kind == arrayStart {
		return scalar{kind: at.kind}
	}
	return scalar{at.kind, scalarText(at.kind, at.escaped, at.data.of(e.doc.body))}
}

type comparison struct {
	operator    string
	left, right operand
}

// holds follows RFC 9535, 2.3.5.2.2: values of different kinds are not equal,
// and only numbers and strings have an order.
func (c comparison) holds(e *evaluation, n int32) bool {
	a, b := c.left.value(e, n), c.right.value(e, n)
	equal := sameScalar(a, b)
	switch c.operator {
	case "==":
		return equal
	case "!=":
		return !equal
	}
	if a.kind != b.kind || a.kind != numberValue && a.kind != stringValue {
		return equal && (c.operator == "<=" || c.operator == ">=")
	}
	order := compareScalars(a, b)
	switch c.operator {
	case "<":
		return order < 0
	case "<=":
		return order <= 0
	case ">":
		return order > 0
	default:
		return order >= 0
	}
}

func sameScalar(a, b scalar) bool {
	if a.kind != b.kind || a.kind == objectStart || a.kind == arrayStart {
		return false
	}
	return compareScalars(a, b) == 0
}

func compareScalars(a, b scalar) int {
	if a.kind == numberValue {
		return compareNumbers(a.text, b.text)
	}
	return strings.Compare(a.text, b.text)
}

// decimal is a number as 0.digits x 10^exponent, without zeros on either side
// of the digits.
type decimal struct {
	negative bool
	digits   string
	exponent int
}

func decimalOf(number string) decimal {
	var d decimal
	number, d.negative = strings.CutPrefix(number, "-")
	mantissa, exponent := number, ""
	if at := strings.IndexAny(number, "eE"); at >= 0 {
		mantissa, exponent = number[:at], number[at+1:]
	}
	whole, fraction, _ := strings.Cut(mantissa, ".")
	digits := whole + fraction
	d.digits = strings.TrimLeft(digits, "0")
	d.exponent = len(whole) - (len(digits) - len(d.digits)) + saturated(exponent)
	d.digits = strings.TrimRight(d.digits, "0")
	if d.digits == "" {
		return decimal{}
	}
	return d
}

// saturated keeps exponents of any length in a range that can be added to.
func saturated(exponent string) int {
	const most = 1 << 40
	n, err := strconv.ParseInt(exponent, 10, 64)
	switch {
	case exponent == "":
		return 0
	case err == nil:
		return int(min(max(n, -most), most))
	case strings.HasPrefix(exponent, "-"):
		return -most
	default:
		return most
	}
}

// compareNumbers compares exactly, however long the numbers are.
func compareNumbers(a, b string) int {
	x, y := decimalOf(a), decimalOf(b)
	switch {
	case x.sign() != y.sign():
		return cmp.Compare(x.sign(), y.sign())
	case x.negative:
		return y.compare(x)
	default:
		return x.compare(y)
	}
}

func (d decimal) sign() int {
	switch {
	case d.digits == "":
		return 0
	case d.negative:
		return -1
	default:
		return 1
	}
}

// compare looks at the size only.
func (d decimal) compare(other decimal) int {
	if order := cmp.Compare(d.exponent, other.exponent); order != 0 {
		return order
	}
	return strings.Compare(d.digits, other.digits)
}
