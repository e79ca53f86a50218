package tree

import (
	"reflect"
	"unicode/utf8"
)

// Decode writes the tree into config, a pointer to the struct that [Read] was given
// the type of. What is not set keeps the value that it has in config.
func (t *Tree) Decode(config any) {
	t.decode(t.root, t.schema, reflect.ValueOf(config).Elem(), "")
}

func (t *Tree) decode(n *node, s *schema, v reflect.Value, path string) {
	switch {
	case n == nil || n.broken:
	case s.kind == list:
		t.decodeList(n, s, v, path)
	case s.isStruct():
		for _, f := range s.fields {
			t.decode(n.child(f.name), f.schema, v.Field(f.index), join(path, f.name))
		}
	case s.kind == table:
		t.decodeMap(n, s, v, path)
	default:
		t.decodeScalar(n, s, v, path)
	}
}

// decodeList takes a list as it is; an empty text in place of one has no elements.
func (t *Tree) decodeList(n *node, s *schema, v reflect.Value, path string) {
	if n.single && t.substitute(n.children[0], s.elem, path) && n.children[0].text == "" {
		n.children = nil
	}
	v.Set(reflect.MakeSlice(s.typ, len(n.children), len(n.children)))
	for i, c := range n.children {
		t.decode(c, s.elem, v.Index(i), element(path, i))
	}
}

// decodeMap adds entries to those that v has already.
func (t *Tree) decodeMap(n *node, s *schema, v reflect.Value, path string) {
	if v.IsNil() {
		v.Set(reflect.MakeMap(s.typ))
	}
	spread(n, s, v)
	for _, c := range n.children {
		entry := reflect.New(s.elem.typ).Elem()
		if old := v.MapIndex(reflect.ValueOf(c.name)); old.IsValid() {
			entry.Set(old)
		}
		t.decode(c, s.elem, entry, join(path, shown(c.name)))
		v.SetMapIndex(reflect.ValueOf(c.name), entry)
	}
}

// spread moves scalars that hold for every entry into the entries without one of
// their own, preset entries included.
func spread(n *node, s *schema, v reflect.Value) {
	var entries, shared []*node
	for _, c := range n.children {
		if _, field := s.sharedField(c.name); field != nil && c.kind == scalar {
			shared = append(shared, c)
		} else {
			entries = append(entries, c)
		}
	}
	if len(shared) == 0 {
		return
	}
	n.children = entries
	for _, name := range v.MapKeys() {
		n.ensure(name.String(), shared[0].keyAt)
	}
	for _, entry := range n.children {
		for _, value := range shared {
			if entry.child(value.name) == nil {
				c := *value
				entry.children = append(entry.children, &c)
			}
		}
	}
}

// decodeScalar replaces placeholders and reads the text. A problem never quotes a
// secret, nor what a placeholder was replaced by.
func (t *Tree) decodeScalar(n *node, s *schema, v reflect.Value, path string) {
	n.secret = s.secret
	if !t.substitute(n, s, path) {
		return
	}
	if !utf8.ValidString(n.text) {
		n.broken = true
		t.fail(n.at, path, "the value is not UTF-8", "")
		return
	}
	unit := s.unit
	if n.unit != "" {
		unit = n.unit
	}
	r := reader{schema: s, unit: unit, quoted: n.written}
	text, err := r.read(n.text, v)
	if err != nil {
		n.broken = true
		hint := ""
		if n.substituted {
			hint = "once its placeholder is replaced"
		}
		t.fail(n.at, path, err.Error(), hint)
		return
	}
	if text != n.text {
		t.warn(n.at, path, "the value has Cyrillic letters that look Latin; taken as "+text, "type it again")
	}
}
