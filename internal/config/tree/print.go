package tree

import (
	"fmt"
	"io"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// Print writes config, into which the tree was decoded, as YAML. A comment behind
// each value names its place; what nobody has set is "default", and left out where
// it is empty. Secrets are asterisks.
func (t *Tree) Print(w io.Writer, config any) error {
	root := printed(t.root, t.schema, reflect.ValueOf(config), "")
	if root == nil {
		root = &yaml.Node{Kind: yaml.MappingNode}
	}
	encoder := yaml.NewEncoder(w)
	encoder.SetIndent(2)
	if err := encoder.Encode(root); err != nil {
		return fmt.Errorf("printing the configuration: %w", err)
	}
	return encoder.Close()
}

// printed is a value as YAML; nil when there is nothing to tell. n is nil for what
// nobody has set.
func printed(n *node, s *schema, v reflect.Value, name string) *yaml.Node {
	switch {
	case s.kind == list:
		return printedList(n, s, v)
	case s.isStruct():
		out := &yaml.Node{Kind: yaml.MappingNode}
		for _, f := range s.fields {
			add(out, f.name, printed(n.child(f.name), f.schema, v.Field(f.index), f.name))
		}
		return orNil(out, n)
	case s.kind == table:
		out := &yaml.Node{Kind: yaml.MappingNode}
		names := v.MapKeys()
		slices.SortFunc(names, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
		for _, key := range names {
			add(out, key.String(), printed(n.child(key.String()), s.elem, v.MapIndex(key), key.String()))
		}
		return orNil(out, n)
	case n == nil && v.IsZero():
		return nil
	}
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: tagOf(v), Value: textOf(s, v, name), Style: styleOf(v), LineComment: origin(n)}
}

func printedList(n *node, s *schema, v reflect.Value) *yaml.Node {
	out := &yaml.Node{Kind: yaml.SequenceNode}
	for i := range v.Len() {
		var item *node
		if n != nil && i < len(n.children) {
			item = n.children[i]
		}
		c := printed(item, s.elem, v.Index(i), "")
		if c == nil {
			c = &yaml.Node{Kind: yaml.MappingNode, Style: yaml.FlowStyle}
		}
		out.Content = append(out.Content, c)
	}
	return orNil(out, n)
}

// orNil leaves out a collection that is empty, unless somebody has set it so.
func orNil(out *yaml.Node, n *node) *yaml.Node {
	if len(out.Content) > 0 {
		return out
	}
	if n == nil || n.kind != list {
		return nil
	}
	out.Style, out.LineComment = yaml.FlowStyle, origin(n)
	return out
}

func add(out *yaml.Node, name string, value *yaml.Node) {
	if value != nil {
		out.Content = append(out.Content, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: name}, value)
	}
}

// origin is the comment behind a value.
func origin(n *node) string {
	if n == nil {
		return "default"
	}
	return Place{File: n.at.File, Line: n.at.Line}.String()
}

func tagOf(v reflect.Value) string {
	if v.Kind() == reflect.String || v.Type() == durationType {
		return "!!str"
	}
	return ""
}

// styleOf quotes texts of several lines, behind which a comment would be text.
func styleOf(v reflect.Value) yaml.Style {
	if v.Kind() == reflect.String && strings.Contains(v.String(), "\n") {
		return yaml.DoubleQuotedStyle
	}
	return 0
}

// secretName recognizes entries of maps, such as headers, that hold credentials.
var secretName = regexp.MustCompile(`(?i)password|passwd|secret|token|authorization|api-?key|cookie`)

// textOf is a value as a file may have it.
func textOf(s *schema, v reflect.Value, name string) string {
	switch {
	case s.secret:
		return fmt.Sprint(v.Interface())
	case v.Kind() == reflect.String && secretName.MatchString(name) && len(s.enum) == 0:
		return "******"
	case v.Kind() == reflect.String:
		return strings.ReplaceAll(v.String(), "${", "$${")
	case s.typ == durationType:
		return durationText(time.Duration(v.Int()))
	case v.Kind() == reflect.Int64 && s.unit != "":
		return sizeText(v.Int())
	default:
		return fmt.Sprint(v.Interface())
	}
}

// durationText is 5m for what Go calls 5m0s.
func durationText(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// sizeText is a size in the largest unit that has no fraction.
func sizeText(n int64) string {
	for _, unit := range []string{"GB", "MB", "KB"} {
		if n != 0 && n%sizeUnits[unit] == 0 {
			return strconv.FormatInt(n/sizeUnits[unit], 10) + unit
		}
	}
	return strconv.FormatInt(n, 10) + "B"
}
