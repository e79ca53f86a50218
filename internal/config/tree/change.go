package tree

import (
	"reflect"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Change is a value that differs between two configurations of one type.
type Change struct {
	// Path is the key, such as mq.connection.sendQueue. A list of single values is one
	// value; blocks that are added to a list, or taken out of it, are one each.
	Path string
	// Old and New are the values as a file would have them, cut where they are long and
	// with secrets hidden; empty where there is none.
	Old, New string
	// Reload tells that the value applies while the gateway runs.
	Reload bool
}

// Changes lists what differs between two configurations of the same type, in the
// order of its fields.
func Changes(old, now any) []Change {
	v := reflect.ValueOf(old)
	var c comparison
	c.compare(schemaOf(v.Type(), ""), v, reflect.ValueOf(now), spot{})
	return c.changes
}

// Take copies what applies while the gateway runs from a configuration into the one
// that running points to, of the same type.
func Take(running, from any) {
	v := reflect.ValueOf(running).Elem()
	take(schemaOf(v.Type(), ""), v, reflect.ValueOf(from))
}

func take(s *schema, v, from reflect.Value) {
	for _, f := range s.fields {
		switch value := v.Field(f.index); {
		case f.reload:
			value.Set(from.Field(f.index))
		case f.schema.isStruct():
			take(f.schema, value, from.Field(f.index))
		}
	}
}

// spot is where a comparison has come to.
type spot struct {
	path, name string
	reload     bool
}

func (at spot) below(name string, reload bool) spot {
	return spot{join(at.path, name), name, at.reload || reload}
}

type comparison struct{ changes []Change }

func (c *comparison) compare(s *schema, old, now reflect.Value, at spot) {
	switch {
	case reflect.DeepEqual(old.Interface(), now.Interface()):
	case s.isStruct():
		for _, f := range s.fields {
			c.compare(f.schema, old.Field(f.index), now.Field(f.index), at.below(f.name, f.reload))
		}
	case s.kind == table:
		c.compareMaps(s, old, now, at)
	case s.kind == list && s.elem.kind != scalar:
		c.compareBlocks(s, old, now, at)
	case s.kind == list && old.Len()+now.Len() == 0:
	default:
		c.add(s, old, now, at)
	}
}

func (c *comparison) add(s *schema, old, now reflect.Value, at spot) {
	c.changes = append(c.changes, Change{Path: at.path, Old: brief(s, old, at.name), New: brief(s, now, at.name), Reload: at.reload})
}

func (c *comparison) compareMaps(s *schema, old, now reflect.Value, at spot) {
	var names []string
	for _, key := range append(old.MapKeys(), now.MapKeys()...) {
		names = append(names, key.String())
	}
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		key := reflect.ValueOf(name)
		below := spot{join(at.path, shown(name)), name, at.reload}
		if before, after := old.MapIndex(key), now.MapIndex(key); before.IsValid() && after.IsValid() {
			c.compare(s.elem, before, after, below)
		} else {
			c.add(s.elem, before, after, below)
		}
	}
}

// compareBlocks leaves out what is equal at both ends, so that an element that is
// put in or taken out is one change.
func (c *comparison) compareBlocks(s *schema, old, now reflect.Value, at spot) {
	same := func(i, j int) bool { return reflect.DeepEqual(old.Index(i).Interface(), now.Index(j).Interface()) }
	first, lastOld, lastNow := 0, old.Len(), now.Len()
	for first < min(lastOld, lastNow) && same(first, first) {
		first++
	}
	for first < min(lastOld, lastNow) && same(lastOld-1, lastNow-1) {
		lastOld, lastNow = lastOld-1, lastNow-1
	}
	for i := first; i < max(lastOld, lastNow); i++ {
		below := spot{at.path + "[" + strconv.Itoa(i) + "]", "", at.reload}
		switch {
		case i >= lastOld:
			c.add(s.elem, reflect.Value{}, now.Index(i), below)
		case i >= lastNow:
			c.add(s.elem, old.Index(i), reflect.Value{}, below)
		default:
			c.compare(s.elem, old.Index(i), now.Index(i), below)
		}
	}
}

// maxBrief bounds the text of a value, in characters.
const maxBrief = 200

// brief is a value as one line; empty for a value that is not there.
func brief(s *schema, v reflect.Value, name string) string {
	if !v.IsValid() {
		return ""
	}
	var text string
	if s.kind == scalar {
		text = textOf(s, v, name)
	} else if n := printed(nil, s, v, name); n != nil {
		inline(n)
		encoded, err := yaml.Marshal(n)
		if err != nil {
			return ""
		}
		text = strings.TrimSpace(string(encoded))
	}
	if runes := []rune(text); len(runes) > maxBrief {
		text = string(runes[:maxBrief]) + "…"
	}
	return text
}

// inline puts a value on one line, without comments.
func inline(n *yaml.Node) {
	n.LineComment = ""
	if n.Kind != yaml.ScalarNode {
		n.Style = yaml.FlowStyle
	}
	for _, c := range n.Content {
		inline(c)
	}
}
