package xmlpath

import (
	"math"
	"strings"
	"unicode/utf8"
)

// function is one of the core library of XPath 1.0, 4.
type function struct {
	least, most int
	nodes       bool // the arguments must be nodes
	result      valueKind
	call        func(c *context, arguments []expr) value
}

const many = math.MaxInt

var functions map[string]function

func init() { // The map refers to functions that refer to the map.
	functions = map[string]function{
		"last":             {0, 0, false, numberValue, func(c *context, _ []expr) value { return numberOf(float64(c.size)) }},
		"position":         {0, 0, false, numberValue, func(c *context, _ []expr) value { return numberOf(float64(c.position)) }},
		"count":            {1, 1, true, numberValue, func(c *context, a []expr) value { return numberOf(float64(len(a[0].eval(c).nodes))) }},
		"sum":              {1, 1, true, numberValue, sum},
		"name":             {0, 1, true, textValue, name},
		"local-name":       {0, 1, true, textValue, local},
		"namespace-uri":    {0, 1, true, textValue, namespaceURI},
		"string":           {0, 1, false, textValue, func(c *context, a []expr) value { return textOf(subject(c, a)) }},
		"concat":           {2, many, false, textValue, concat},
		"starts-with":      {2, 2, false, booleanValue, onTexts(strings.HasPrefix)},
		"contains":         {2, 2, false, booleanValue, onTexts(strings.Contains)},
		"substring-before": {2, 2, false, textValue, substringBefore},
		"substring-after":  {2, 2, false, textValue, substringAfter},
		"substring":        {2, 3, false, textValue, substring},
		"string-length":    {0, 1, false, numberValue, stringLength},
		"normalize-space":  {0, 1, false, textValue, normalizeSpace},
		"translate":        {3, 3, false, textValue, translate},
		"boolean":          {1, 1, false, booleanValue, func(c *context, a []expr) value { return booleanOf(a[0].eval(c).boolean()) }},
		"not":              {1, 1, false, booleanValue, func(c *context, a []expr) value { return booleanOf(!a[0].eval(c).boolean()) }},
		"true":             {0, 0, false, booleanValue, func(*context, []expr) value { return booleanOf(true) }},
		"false":            {0, 0, false, booleanValue, func(*context, []expr) value { return booleanOf(false) }},
		"number":           {0, 1, false, numberValue, number},
		"floor":            {1, 1, false, numberValue, onNumber(math.Floor)},
		"ceiling":          {1, 1, false, numberValue, onNumber(math.Ceil)},
		"round":            {1, 1, false, numberValue, onNumber(round)},
	}
}

// subject is the text of the argument, without one that of the context node.
func subject(c *context, arguments []expr) string {
	if len(arguments) == 0 {
		return nodesOf([]int32{c.node}).string(c)
	}
	return arguments[0].eval(c).string(c)
}

// subjectNode is the first node of the argument, without one the context node;
// -1 when there is none.
func subjectNode(c *context, arguments []expr) int32 {
	if len(arguments) == 0 {
		return c.node
	}
	if nodes := arguments[0].eval(c).nodes; len(nodes) > 0 {
		return nodes[0]
	}
	return -1
}

func onTexts(f func(a, b string) bool) func(*context, []expr) value {
	return func(c *context, a []expr) value {
		return booleanOf(f(a[0].eval(c).string(c), a[1].eval(c).string(c)))
	}
}

func onNumber(f func(float64) float64) func(*context, []expr) value {
	return func(c *context, a []expr) value { return numberOf(f(a[0].eval(c).number(c))) }
}

// round goes to the nearest integer, up where two are as near.
func round(n float64) float64 {
	if math.Abs(n) >= 1<<52 || math.IsNaN(n) {
		return n
	}
	return math.Floor(n + 0.5)
}

func number(c *context, a []expr) value {
	if len(a) == 0 {
		return numberOf(textOf(subject(c, a)).number(c))
	}
	return numberOf(a[0].eval(c).number(c))
}

func sum(c *context, a []expr) value {
	total := 0.0
	for _, n := range a[0].eval(c).nodes {
		total += nodesOf([]int32{n}).number(c)
	}
	return numberOf(total)
}

func name(c *context, a []expr) value {
	if n := subjectNode(c, a); n >= 0 {
		return textOf(string(c.doc.name(n)))
	}
	return textOf("")
}

func local(c *context, a []expr) value {
	if n := subjectNode(c, a); n >= 0 {
		return textOf(string(localName(c.doc.name(n))))
	}
	return textOf("")
}

// namespaceURI looks the declaration of the prefix up, from the inside out.
func namespaceURI(c *context, a []expr) value {
	n := subjectNode(c, a)
	if n < 0 {
		return textOf("")
	}
	kind, written := c.doc.nodes[n].kind, c.doc.name(n)
	prefix := string(written[:prefixLength(written)])
	if kind != elementNode && (kind != attributeNode || prefix == "") {
		return textOf("")
	}
	declaration := "xmlns"
	if prefix != "" {
		declaration = "xmlns:" + prefix
	}
	for ; n > 0; n = c.doc.nodes[n].parent {
		for i := n + 1; i < c.doc.nodes[n].end && c.doc.isAttribute(i); i++ {
			if string(c.doc.name(i)) == declaration {
				return textOf(c.doc.text(i))
			}
		}
	}
	if prefix == "xml" {
		return textOf("http://www.w3.org/XML/1998/namespace")
	}
	return textOf("")
}

func concat(c *context, a []expr) value {
	var all strings.Builder
	for _, part := range a {
		all.WriteString(part.eval(c).string(c))
	}
	c.budget.spend(all.Len() / 16)
	return textOf(all.String())
}

func substringBefore(c *context, a []expr) value {
	before, _, found := strings.Cut(a[0].eval(c).string(c), a[1].eval(c).string(c))
	if !found {
		return textOf("")
	}
	return textOf(before)
}

func substringAfter(c *context, a []expr) value {
	_, after, _ := strings.Cut(a[0].eval(c).string(c), a[1].eval(c).string(c))
	return textOf(after)
}

// substring counts characters from 1 and rounds, so that every number has a
// meaning: positions below one and NaN as in XPath 1.0, 4.2.
func substring(c *context, a []expr) value {
	text := a[0].eval(c).string(c)
	from := round(a[1].eval(c).number(c))
	to := math.Inf(1)
	if len(a) == 3 {
		to = from + round(a[2].eval(c).number(c))
	}
	var kept strings.Builder
	position := 1.0
	for _, r := range text {
		if position >= from && position < to {
			kept.WriteRune(r)
		}
		position++
	}
	return textOf(kept.String())
}

func stringLength(c *context, a []expr) value {
	return numberOf(float64(utf8.RuneCountInString(subject(c, a))))
}

func normalizeSpace(c *context, a []expr) value {
	blank := func(r rune) bool { return r < utf8.RuneSelf && isSpace(byte(r)) }
	return textOf(strings.Join(strings.FieldsFunc(subject(c, a), blank), " "))
}

// translate replaces characters by those at the same place; the first place of
// a character counts, and one without a counterpart is removed.
func translate(c *context, a []expr) value {
	text := a[0].eval(c).string(c)
	from, to := []rune(a[1].eval(c).string(c)), []rune(a[2].eval(c).string(c))
	table := make(map[rune]rune, len(from))
	for i, r := range from {
		if _, known := table[r]; known {
			continue
		}
		table[r] = -1
		if i < len(to) {
			table[r] = to[i]
		}
	}
	return textOf(strings.Map(func(r rune) rune {
		if other, ok := table[r]; ok {
			return other
		}
		return r
	}, text))
}
