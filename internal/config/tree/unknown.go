package tree

import (
	"reflect"
	"strings"

	"mqgateway/internal/field"
)

// mostNames bounds the lists of keys in hints.
const mostNames = 12

// unknown reports a key that s does not have.
func (t *Tree) unknown(at Place, s *schema, path, key string) {
	full := join(path, shown(key))
	if name, why, ok := t.ignorable(join(path, key)); ok {
		if !t.ignored[name] {
			t.ignored[name] = true
			t.warn(at, full, "the key is ignored: "+why, "")
		}
		return
	}
	meant, hint := t.suggest(s, path, key)
	if t.opts.UnknownKeysWarn {
		t.warn(at, full, "unknown key, ignored", hint)
		return
	}
	t.fail(at, full, "unknown key", hint)
	if meant != "" {
		t.blamed = append(t.blamed, meant)
	}
}

// ignorable looks a key up among those without meaning; one of them stands for all
// below it.
func (t *Tree) ignorable(path string) (name, why string, ok bool) {
	path = fold(withoutIndexes(path))
	for name, why := range t.opts.Ignored {
		if _, below := cutName(path, fold(name)); below {
			return path, why, true
		}
	}
	return "", "", false
}

func withoutIndexes(path string) string {
	var b strings.Builder
	for path != "" {
		before, rest, _ := strings.Cut(path, "[")
		b.WriteString(before)
		_, path, _ = strings.Cut(rest, "]")
	}
	return b.String()
}

// suggest finds the key that was meant, and says so; else it tells what there is.
func (t *Tree) suggest(s *schema, path, key string) (meant, hint string) {
	if strings.Contains(key, ".") {
		if last, rest := s.walk(strings.Split(key, ".")); last != nil && len(rest) == 0 {
			return join(path, key), "write it as nested keys: " + strings.Join(strings.Split(key, "."), ": {") +
				": …" + strings.Repeat("}", strings.Count(key, "."))
		}
	}
	names := s.fieldNames()
	if name := field.Nearest(fold(clipped(key)), names); name != "" {
		meant = join(path, name)
		return meant, "did you mean " + meant + "?"
	}
	if elsewhere := t.schema.paths(fold(key), ""); len(elsewhere) == 1 {
		return elsewhere[0], "did you mean " + elsewhere[0] + "?"
	}
	if len(names) > mostNames {
		return "", ""
	}
	return "", "known here: " + strings.Join(names, ", ")
}

// suggestVariable finds the variable that was meant, name without the prefix.
func (t *Tree) suggestVariable(name string) string {
	var known []string
	for _, k := range keys(t.schema, reflect.Zero(t.schema.typ), "", "") {
		known = append(known, k.Variable)
	}
	nearest := field.Nearest(clipped(name), known)
	if nearest == "" {
		return ""
	}
	return "did you mean " + t.opts.Prefix + nearest + "?"
}

func (s *schema) fieldNames() []string {
	var names []string
	for _, f := range s.fields {
		names = append(names, f.name)
	}
	return names
}

// walk follows names down structs as far as they are known.
func (s *schema) walk(names []string) (last *schema, rest []string) {
	for i, name := range names {
		next, ok := s.names[fold(name)]
		if !ok {
			return s, names[i:]
		}
		s = next.schema
	}
	return s, nil
}

// paths finds all keys of a folded name, wherever they stand.
func (s *schema) paths(name, path string) []string {
	var found []string
	for _, f := range s.fields {
		if fold(f.name) == name {
			found = append(found, join(path, f.name))
		}
		found = append(found, f.schema.paths(name, join(path, f.name))...)
	}
	switch {
	case s.kind == list:
		found = append(found, s.elem.paths(name, path+"[]")...)
	case s.kind == table && s.elem != nil:
		found = append(found, s.elem.paths(name, join(path, "<name>"))...)
	}
	return found
}
