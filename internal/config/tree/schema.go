package tree

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"
)

// schema is what a Go type says about the values that it takes.
type schema struct {
	kind kind
	typ  reflect.Type
	// fields are the keys of a struct; names finds them by folded name.
	fields []*fieldSchema
	names  map[string]target
	// elem describes the elements of a list, or the entries of a map.
	elem *schema
	// shared names the fields of the entries of a map that a scalar sets at once.
	shared []string
	// unit of a bare number; values of an enumeration, canonical one first.
	unit   string
	enum   [][]string
	secret bool
}

// fieldSchema is a field of a struct.
type fieldSchema struct {
	name    string
	index   int
	aliases []string
	// reload tells that the value, a block as a whole, applies while the gateway runs.
	reload bool
	schema *schema
}

// target is what a key in a struct means: names to walk down, mostly one, and what
// stands there.
type target struct {
	path   []string
	schema *schema
	unit   string
}

var durationType = reflect.TypeFor[time.Duration]()

// revealer is implemented by secrets: their value needs asking for.
type revealer interface{ Reveal() string }

// fold makes names comparable: no case, no dashes.
func fold(name string) string {
	return strings.ToLower(strings.ReplaceAll(name, "-", ""))
}

// schemaOf describes a type. It panics for types and tags that are not supported,
// which is a defect of the program.
func schemaOf(typ reflect.Type, tag reflect.StructTag) *schema {
	s := &schema{typ: typ, unit: tag.Get("unit"), secret: typ.Implements(reflect.TypeFor[revealer]())}
	for _, value := range commaList(tag.Get("enum")) {
		s.enum = append(s.enum, strings.Split(value, "|"))
	}
	switch typ.Kind() {
	case reflect.String, reflect.Bool, reflect.Int, reflect.Int32, reflect.Int64, reflect.Uint8, reflect.Uint16,
		reflect.Uint32, reflect.Uint64, reflect.Float64:
	case reflect.Slice:
		s.kind, s.elem = list, schemaOf(typ.Elem(), tag)
	case reflect.Map:
		s.kind, s.elem, s.shared = table, schemaOf(typ.Elem(), tag), commaList(tag.Get("shared"))
	case reflect.Struct:
		s.kind, s.names = table, map[string]target{}
		for i := range typ.NumField() {
			s.addField(i, typ.Field(i))
		}
	default:
		panic(fmt.Sprintf("tree: type %v can't be configured", typ))
	}
	if s.elem != nil && s.elem.reloads() {
		panic(fmt.Sprintf("tree: elements of %v apply without a restart, and it does not", typ))
	}
	return s
}

// reloads tells that something in a value of its own applies while the gateway runs.
func (s *schema) reloads() bool {
	return slices.ContainsFunc(s.fields, func(f *fieldSchema) bool { return f.reload || f.schema.reloads() })
}

func (s *schema) addField(index int, f reflect.StructField) {
	name, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
	if name == "" || name == "-" {
		return
	}
	fs := &fieldSchema{name: name, index: index, reload: f.Tag.Get("reload") == "yes", schema: schemaOf(f.Type, f.Tag)}
	s.fields = append(s.fields, fs)
	s.addName(name, target{path: []string{name}, schema: fs.schema})
	for _, alias := range commaList(f.Tag.Get("alias")) {
		alias, unit, _ := strings.Cut(alias, "/")
		fs.aliases = append(fs.aliases, alias)
		s.addName(alias, target{path: []string{name}, schema: fs.schema, unit: unit})
	}
	for _, lifted := range commaList(f.Tag.Get("lift")) {
		below := fs.schema.names[fold(lifted)]
		s.addName(lifted, target{path: append([]string{name}, below.path...), schema: below.schema, unit: below.unit})
	}
}

func (s *schema) addName(name string, t target) {
	if _, twice := s.names[fold(name)]; twice || t.schema == nil {
		panic(fmt.Sprintf("tree: key %q of %v stands twice, or for nothing", name, s.typ))
	}
	s.names[fold(name)] = t
}

// isStruct tells a struct from a map.
func (s *schema) isStruct() bool { return s.names != nil }

// sharedField is the schema of the entries' field that a scalar called name sets,
// or nil.
func (s *schema) sharedField(name string) (string, *schema) {
	for _, field := range s.shared {
		if fold(field) == fold(name) {
			return field, s.elem.names[fold(field)].schema
		}
	}
	return "", nil
}

// commaList splits a tag; an empty one has no elements.
func commaList(tag string) []string {
	if tag == "" {
		return nil
	}
	return strings.Split(tag, ",")
}
