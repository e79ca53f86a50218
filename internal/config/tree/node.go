package tree

import (
	"slices"
	"strconv"
	"strings"
)

// kind is the shape of a value.
type kind uint8

const (
	scalar kind = iota
	list
	table // a mapping, with keys of its own or of a struct
)

// String names the kind as users do.
func (k kind) String() string {
	return [...]string{"a single value", "a list", "a block of keys"}[k]
}

// node is one value of the merged configuration. Its names are canonical.
type node struct {
	kind kind
	name string
	// at is the place of the value, keyAt of its key; list elements have no key.
	at, keyAt Place
	// text is a scalar as written, until decoding has replaced what stands in ${}.
	text string
	// written is the text before that; substituted tells that they differ.
	written     string
	substituted bool
	// unit is what a bare number means where an alias was used; mostly empty.
	unit     string
	children []*node
	// broken values have a problem already; fresh ones were made by a variable that
	// sets something below them.
	broken, fresh bool
	// single lists were written as a scalar; secret scalars are never shown.
	single, secret bool
	// shadowed are the places in weaker files where the same key is set.
	shadowed []Place
}

// child returns the entry of a table, or nil. It may be called on nil.
func (n *node) child(name string) *node {
	if n == nil || n.kind != table {
		return nil
	}
	for _, c := range n.children {
		if c.name == name {
			return c
		}
	}
	return nil
}

// ensure returns the table of that name in n, which it makes when there is none.
func (n *node) ensure(name string, at Place) *node {
	if c := n.child(name); c != nil {
		return c
	}
	c := &node{kind: table, name: name, at: at, keyAt: at}
	n.children = append(n.children, c)
	return c
}

// put sets the entry name of a table.
func (n *node) put(name string, c *node) {
	c.name = name
	if i := slices.IndexFunc(n.children, func(o *node) bool { return o.name == name }); i >= 0 {
		n.children[i] = c
		return
	}
	n.children = append(n.children, c)
}

// place is where to point a user at: the value of a scalar, the key of all else.
func (n *node) place() Place {
	if n.kind != scalar && n.keyAt.File != "" {
		return n.keyAt
	}
	return n.at
}

// find walks down path as far as it goes, and returns the last node met and the
// rest of the path, which is empty when the whole path exists. Names are compared
// without case and dashes, and may hold dots.
func (n *node) find(path string) (last *node, rest string) {
	for path != "" {
		next, tail, ok := n.step(path)
		if !ok {
			return n, path
		}
		n, path = next, tail
	}
	return n, ""
}

func (n *node) step(path string) (next *node, rest string, ok bool) {
	if index, tail, isIndex := cutIndex(path); isIndex && n.kind == list {
		if index >= len(n.children) {
			return nil, "", false
		}
		return n.children[index], tail, true
	}
	length := -1
	for _, c := range n.children {
		if tail, found := cutName(path, c.name); n.kind == table && found && len(c.name) > length {
			next, rest, length = c, tail, len(c.name)
		}
	}
	return next, rest, next != nil
}

// cutIndex takes [3] from the front of a path.
func cutIndex(path string) (index int, rest string, ok bool) {
	if !strings.HasPrefix(path, "[") {
		return 0, "", false
	}
	digits, rest, found := strings.Cut(path[1:], "]")
	index, err := strconv.Atoi(digits)
	return index, strings.TrimPrefix(rest, "."), found && err == nil && index >= 0
}

// cutName takes a name from the front of a path.
func cutName(path, name string) (rest string, ok bool) {
	if len(path) < len(name) || !strings.EqualFold(path[:len(name)], name) {
		return "", false
	}
	rest = path[len(name):]
	switch {
	case rest == "":
		return "", true
	case rest[0] == '.':
		return rest[1:], true
	case rest[0] == '[':
		return rest, true
	default:
		return "", false
	}
}

// join puts a name behind a path.
func join(path string, names ...string) string {
	for _, name := range names {
		if path != "" && name != "" && !strings.HasPrefix(name, "[") {
			path += "."
		}
		path += name
	}
	return path
}

func element(path string, i int) string { return path + "[" + strconv.Itoa(i) + "]" }
