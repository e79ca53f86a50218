package xmlpath

import (
	"math"
	"strconv"
	"strings"
)

type valueKind uint8

const (
	nodesValue valueKind = iota
	numberValue
	textValue
	booleanValue
)

// String names the kind in messages.
func (k valueKind) String() string {
	return [...]string{"set of nodes", "number", "text", "boolean"}[k]
}

// value is the result of an expression. Nodes are in document order.
type value struct {
	kind  valueKind
	nodes []int32
	num   float64
	str   string
	truth bool
}

func nodesOf(nodes []int32) value { return value{kind: nodesValue, nodes: nodes} }
func numberOf(n float64) value    { return value{kind: numberValue, num: n} }
func textOf(s string) value       { return value{kind: textValue, str: s} }
func booleanOf(truth bool) value  { return value{kind: booleanValue, truth: truth} }
func (v value) string(c *context) string {
	text := v.text(c.doc)
	if v.kind == nodesValue {
		c.budget.spend(len(text) / 16)
	}
	return text
}

// text is the value by the rules of string().
func (v value) text(d *Document) string {
	switch v.kind {
	case nodesValue:
		if len(v.nodes) == 0 {
			return ""
		}
		return d.text(v.nodes[0])
	case numberValue:
		return numberText(v.num)
	case booleanValue:
		return strconv.FormatBool(v.truth)
	default:
		return v.str
	}
}

// numberText writes a number without an exponent and without trailing zeros.
func numberText(n float64) string {
	switch {
	case math.IsInf(n, 1):
		return "Infinity"
	case math.IsInf(n, -1):
		return "-Infinity"
	case n == 0:
		return "0" // Negative zero, too.
	}
	return strconv.FormatFloat(n, 'f', -1, 64)
}

// number is the value by the rules of number().
func (v value) number(c *context) float64 {
	switch v.kind {
	case numberValue:
		return v.num
	case booleanValue:
		if v.truth {
			return 1
		}
		return 0
	default:
		return parseNumber(v.string(c))
	}
}

// parseNumber takes an optional minus, digits and a point; everything else is
// no number.
func parseNumber(text string) float64 {
	text = strings.Trim(text, " \t\r\n")
	digits := strings.TrimPrefix(text, "-")
	if digits == "" || digits == "." || numberLength(digits) != len(digits) {
		return math.NaN()
	}
	n, _ := strconv.ParseFloat(text, 64) // Digits only: at most out of range, which is ±Inf.
	return n
}

// boolean is the value by the rules of boolean().
func (v value) boolean() bool {
	switch v.kind {
	case nodesValue:
		return len(v.nodes) > 0
	case numberValue:
		return v.num != 0 && !math.IsNaN(v.num)
	case booleanValue:
		return v.truth
	default:
		return v.str != ""
	}
}
