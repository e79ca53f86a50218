package tree

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// maxNodes bounds what the aliases of one file may grow to, and maxMerges how deep
// merge keys may nest.
const (
	maxNodes  = 1_000_000
	maxMerges = 20
)

// resolver turns the YAML of one file into nodes with canonical names.
type resolver struct {
	tree *Tree
	file string
	// budget is how many values may still be resolved.
	budget int
	gaveUp bool
}

// pair is a key with its value.
type pair struct{ key, value *yaml.Node }

func (r *resolver) place(n *yaml.Node) Place {
	return Place{File: r.file, Line: n.Line, Column: n.Column}
}

// value resolves a value by its schema. It returns nil for what is not set, and for
// what is wrong and reported.
func (r *resolver) value(n *yaml.Node, s *schema, path string) *node {
	if r.tree.opts.Literal && s.kind == scalar && isNull(n) {
		return &node{at: r.place(n)}
	}
	if n = r.follow(n, path); n == nil {
		return nil
	}
	switch {
	case n.Kind == yaml.MappingNode && s.kind == table:
		return r.table(n, s, path)
	case n.Kind == yaml.SequenceNode && s.kind == list:
		return r.list(n, s, path)
	case n.Kind == yaml.ScalarNode && s.kind == scalar:
		return &node{at: r.place(n), text: n.Value}
	case n.Kind == yaml.ScalarNode && s.kind == list && s.elem.kind == scalar:
		only := &node{at: r.place(n), text: n.Value}
		return &node{kind: list, at: only.at, children: []*node{only}, single: true}
	}
	r.tree.fail(r.place(n), path, fmt.Sprintf("expected %v, found %v", s.kind, kindOf(n)), shapeHint(s, n))
	return nil
}

// follow resolves an alias, and sorts out nulls and tags. nil means: no value.
func (r *resolver) follow(n *yaml.Node, path string) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if r.budget--; r.budget < 0 {
		r.giveUp(n, "the file has more than a million values", "use fewer aliases")
		return nil
	}
	if n.Style&yaml.TaggedStyle != 0 && !plainTags[n.Tag] {
		r.tree.fail(r.place(n), path, "a YAML tag has no meaning here", "quote a value that begins with an exclamation mark")
		return nil
	}
	if !isNull(n) {
		return n
	}
	if n.Anchor != "" {
		r.tree.fail(r.place(n), path, "an anchor without a value", "quote a value that begins with &")
	}
	return nil
}

// giveUp reports, once, that the file grows beyond all bounds.
func (r *resolver) giveUp(n *yaml.Node, text, hint string) {
	if !r.gaveUp {
		r.tree.unreadable(r.place(n), text, hint)
	}
	r.gaveUp, r.budget = true, 0
}

var plainTags = map[string]bool{
	"!!str": true, "!!int": true, "!!float": true, "!!bool": true, "!!null": true, "!!map": true, "!!seq": true,
}

func kindOf(n *yaml.Node) kind {
	switch n.Kind {
	case yaml.MappingNode:
		return table
	case yaml.SequenceNode:
		return list
	default:
		return scalar
	}
}

func shapeHint(s *schema, n *yaml.Node) string {
	switch {
	case s.kind == list && n.Kind == yaml.MappingNode:
		return "put a dash before it"
	case s.kind == scalar && n.Kind == yaml.MappingNode && n.Style&yaml.FlowStyle != 0:
		return "quote a value that begins with a brace"
	case s.kind == scalar && n.Kind == yaml.SequenceNode && n.Style&yaml.FlowStyle != 0:
		return "quote a value that begins with a bracket"
	default:
		return ""
	}
}

func (r *resolver) list(n *yaml.Node, s *schema, path string) *node {
	out := &node{kind: list, at: r.place(n)}
	for i, item := range n.Content {
		failed := len(r.tree.problems)
		c := r.value(item, s.elem, element(path, i))
		if c == nil && len(r.tree.problems) == failed {
			r.tree.fail(r.place(item), element(path, i), "the element is empty", "")
		}
		if c == nil {
			// Later elements keep their numbers.
			c = &node{kind: s.elem.kind, at: r.place(item), broken: true}
		}
		out.children = append(out.children, c)
	}
	return out
}

// table resolves a mapping, for a struct or for a map.
func (r *resolver) table(n *yaml.Node, s *schema, path string) *node {
	out := &node{kind: table, at: r.place(n)}
	seen := map[string]Place{}
	for _, p := range r.pairs(n, 0) {
		at := r.place(p.key)
		if p.key.Kind != yaml.ScalarNode {
			r.tree.fail(at, path, "a key is a single text, not a list or a block", "")
			continue
		}
		if first, twice := seen[p.key.Value]; twice {
			r.tree.fail(at, join(path, shown(p.key.Value)), "the key stands twice in one block", "first at "+first.String())
			continue
		}
		seen[p.key.Value] = at
		if s.isStruct() {
			r.field(out, s, p, path)
		} else {
			r.entry(out, s, p, path)
		}
	}
	return out
}

// pairs are the entries of a mapping, with those of its merge keys (<<) behind
// where they are not its own.
func (r *resolver) pairs(n *yaml.Node, depth int) []pair {
	var own []pair
	var merged []*yaml.Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.Kind == yaml.AliasNode {
			key = key.Alias
		}
		if key.Tag == "!!merge" {
			merged = append(merged, value)
			continue
		}
		own = append(own, pair{key, value})
	}
	names := map[string]bool{}
	for _, p := range own {
		names[p.key.Value] = true
	}
	for _, source := range merged {
		for _, p := range r.mergePairs(source, depth+1) {
			if !names[p.key.Value] {
				names[p.key.Value] = true
				own = append(own, p)
			}
		}
	}
	return own
}

// mergePairs are the entries that one merge key brings: of a mapping, or of a list
// of them.
func (r *resolver) mergePairs(source *yaml.Node, depth int) []pair {
	at := source
	if source.Kind == yaml.AliasNode {
		source = source.Alias
	}
	if r.budget--; depth > maxMerges || r.budget < 0 {
		r.giveUp(at, "merge keys (<<) nest too deep", "")
		return nil
	}
	switch source.Kind {
	case yaml.MappingNode:
		return r.pairs(source, depth)
	case yaml.SequenceNode:
		var all []pair
		for _, item := range source.Content {
			all = append(all, r.mergePairs(item, depth+1)...)
		}
		return all
	default:
		r.tree.unreadable(r.place(at), "a merge key (<<) needs a block of keys", "")
		return nil
	}
}

// entry resolves one entry of a map, whose key is data.
func (r *resolver) entry(out *node, s *schema, p pair, path string) {
	name, elem := p.key.Value, s.elem
	if field, shared := s.sharedField(name); shared != nil && p.value.Kind != yaml.MappingNode {
		name, elem = field, shared
	}
	if c := r.value(p.value, elem, join(path, shown(name))); c != nil {
		c.keyAt = r.place(p.key)
		out.put(name, c)
	}
}

// field resolves one key of a struct.
func (r *resolver) field(out *node, s *schema, p pair, path string) {
	t, known := s.names[fold(p.key.Value)]
	if !known {
		r.tree.unknown(r.place(p.key), s, path, p.key.Value)
		return
	}
	c := r.value(p.value, t.schema, join(path, t.path...))
	if c == nil {
		return
	}
	c.keyAt, c.unit = r.place(p.key), t.unit
	last := len(t.path) - 1
	for _, name := range t.path[:last] {
		out, path = out.ensure(name, c.keyAt), join(path, name)
	}
	r.add(out, t.path[last], c, path)
}

// add puts a value into a table of the same file: blocks under two spellings of a
// name become one, anything else twice is a mistake.
func (r *resolver) add(out *node, name string, c *node, path string) {
	c.name = name
	old := out.child(name)
	switch {
	case old == nil:
		out.children = append(out.children, c)
	case old.kind == table && c.kind == table:
		for _, below := range c.children {
			r.add(old, below.name, below, join(path, name))
		}
	default:
		r.tree.fail(c.keyAt, join(path, name), "the key is set twice in one file", "also at "+old.keyAt.String())
	}
}

// shown is a key of a file as messages have it: on one line, and not too long.
func shown(key string) string {
	key = clipped(key)
	if key == "" || strings.ContainsFunc(key, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return strconv.Quote(key)
	}
	return key
}

// clipped cuts a long text.
func clipped(text string) string {
	const most = 60
	if utf8.RuneCountInString(text) <= most {
		return text
	}
	return string([]rune(text)[:most]) + "…"
}
