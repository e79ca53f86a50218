package tree

import (
	"reflect"
	"strings"
)

// Key is one key of a configuration that holds a value, for documentation and tools.
type Key struct {
	// Path is the key, with [] behind lists and <name> for names that users choose.
	Path string
	// Variable is the environment variable that sets it, without the prefix; list
	// elements have N for their number.
	Variable string
	// Type is text, secret, boolean, number, duration or size; List tells that the
	// key takes several. Values are those of an enumeration.
	Type   string
	List   bool
	Values []string
	// Unit of a bare number; Default as a file would have it, empty when there is none.
	Unit, Default string
	// Aliases are further names of the last part of Path.
	Aliases []string
	// Reload tells that the key applies while the gateway runs.
	Reload bool
}

// Keys are all keys of the type of config, in the order of its fields; their
// defaults are the values in config.
func Keys(config any) []Key {
	v := reflect.ValueOf(config)
	return keys(schemaOf(v.Type(), ""), v, "", "")
}

func keys(s *schema, v reflect.Value, path, variable string) []Key {
	switch {
	case s.isStruct():
		var all []Key
		for _, f := range s.fields {
			below := keys(f.schema, v.Field(f.index), join(path, f.name), underscore(variable, f.name))
			if len(below) == 1 && below[0].Path == join(path, f.name) {
				below[0].Aliases = f.aliases
			}
			for i := range below {
				below[i].Reload = below[i].Reload || f.reload
			}
			all = append(all, below...)
		}
		return all
	case s.kind == list && s.elem.kind == scalar:
		k := scalarKey(s.elem, reflect.Zero(s.elem.typ), path, variable)
		k.List = true
		return []Key{k}
	case s.kind == list:
		return keys(s.elem, reflect.Zero(s.elem.typ), path+"[]", underscore(variable, "N"))
	case s.kind == table:
		preset := reflect.Zero(s.elem.typ)
		if value := v.MapIndex(reflect.ValueOf("default")); value.IsValid() {
			preset = value
		}
		return keys(s.elem, preset, join(path, "<name>"), underscore(variable, "<NAME>"))
	default:
		return []Key{scalarKey(s, v, path, variable)}
	}
}

func scalarKey(s *schema, v reflect.Value, path, variable string) Key {
	k := Key{Path: path, Variable: variable, Type: s.typeName(), Values: canonical(s.enum), Unit: s.unit}
	if s.typ == durationType && k.Unit == "" {
		k.Unit = "ms"
	}
	if !v.IsZero() {
		k.Default = textOf(s, v, "")
	}
	return k
}

func underscore(variable, name string) string {
	return strings.TrimPrefix(variable+"_"+strings.ToUpper(name), "_")
}

// typeName names the type as users know it.
func (s *schema) typeName() string {
	switch {
	case s.secret:
		return "secret"
	case s.typ.Kind() == reflect.String:
		return "text"
	case s.typ.Kind() == reflect.Bool:
		return "boolean"
	case s.typ == durationType:
		return "duration"
	case s.unit != "":
		return "size"
	default:
		return "number"
	}
}
