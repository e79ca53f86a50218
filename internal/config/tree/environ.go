package tree

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxIndex bounds the list elements that a variable may name.
const maxIndex = 1000

// variables turns os.Environ's form into a map; the first of a name holds.
func variables(environ []string) map[string]string {
	m := make(map[string]string, len(environ))
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		if _, twice := m[name]; !twice {
			m[name] = value
		}
	}
	return m
}

// step is one step from a node to one below it: a name, or the index of a list.
type step struct {
	name   string
	index  int
	schema *schema
	unit   string
}

// setting is a key that a variable sets.
type setting struct {
	variable, value string
	steps           []step
}

// overlay lays the environment over the files.
func (t *Tree) overlay() {
	var settings []setting
	var unknown, services []string
	for _, name := range t.ownVariables() {
		value := t.variables[name]
		if isServiceAddress(value) {
			services = append(services, name)
			continue
		}
		words := strings.Split(strings.ToLower(strings.TrimPrefix(name, t.opts.Prefix)), "_")
		if steps, ok := steps(words, t.schema, t.root); ok && utf8.ValidString(name) {
			settings = append(settings, setting{name, value, steps})
		} else {
			unknown = append(unknown, name)
		}
	}
	slices.SortStableFunc(settings, compareSettings)
	for _, s := range settings {
		t.set(s)
	}
	t.warnServices(services, unknown)
}

// ownVariables are the variables that begin with the prefix, sorted.
func (t *Tree) ownVariables() []string {
	var names []string
	for name := range t.variables {
		if strings.HasPrefix(name, t.opts.Prefix) && !slices.Contains(t.opts.OtherVariables, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// compareSettings puts lists as a whole before their elements, and elements in the
// order of their numbers.
func compareSettings(a, b setting) int {
	return slices.CompareFunc(a.steps, b.steps, func(x, y step) int {
		return cmp.Or(cmp.Compare(x.name, y.name), cmp.Compare(x.index, y.index))
	})
}

// isServiceAddress recognizes what Kubernetes sets for a Service: tcp://10.0.0.1:80.
func isServiceAddress(value string) bool {
	for _, scheme := range []string{"tcp://", "udp://", "sctp://"} {
		if rest, ok := strings.CutPrefix(value, scheme); ok {
			_, err := netip.ParseAddrPort(rest)
			return err == nil
		}
	}
	return false
}

// warnServices warns once of all variables of Services, and of each unknown name
// that does not come with them.
func (t *Tree) warnServices(services, unknown []string) {
	foreign := slices.Clone(services)
	for _, name := range unknown {
		if slices.ContainsFunc(services, func(s string) bool { return sameService(s, name) }) {
			foreign = append(foreign, name)
			continue
		}
		t.warn(variable(name), "", "no key has this name", t.suggestVariable(strings.TrimPrefix(name, t.opts.Prefix)))
	}
	if len(foreign) > 0 {
		slices.Sort(foreign)
		t.warn(variable(foreign[0]), "", "ignored: set by Kubernetes for a Service: "+strings.Join(foreign, ", "),
			"enableServiceLinks: false in the pod's spec takes them away")
	}
}

// sameService tells that name is one of the variables that come with address, which
// is called like <SERVICE>_PORT or <SERVICE>_PORT_80_TCP.
func sameService(address, name string) bool {
	service, _, found := strings.Cut(address, "_PORT")
	return found && (strings.HasPrefix(name, service+"_SERVICE_") || strings.HasPrefix(name, service+"_PORT_"))
}

// variable is the place of what a variable says.
func variable(name string) Place { return Place{File: "environment " + name} }

// steps finds the key that words name below s. Where n, what the files say, has
// entries of its own names, these are found.
func steps(words []string, s *schema, n *node) ([]step, bool) {
	switch {
	case len(words) == 0:
		return nil, s.kind == scalar || s.kind == list && s.elem.kind == scalar
	case s.kind == list:
		return stepsInList(words, s, n)
	case s.isStruct():
		return stepsInStruct(words, s, n)
	case s.kind == table:
		return stepsInMap(words, s, n)
	default:
		return nil, false
	}
}

func stepsInList(words []string, s *schema, n *node) ([]step, bool) {
	index, err := strconv.Atoi(words[0])
	if err != nil || index < 0 || index > maxIndex {
		return nil, false
	}
	var item *node
	if n != nil && n.kind == list && index < len(n.children) {
		item = n.children[index]
	}
	rest, ok := steps(words[1:], s.elem, item)
	return append([]step{{index: index, schema: s.elem}}, rest...), ok
}

// stepsInStruct takes as many words as make a key: SEND_QUEUE is sendQueue, too.
func stepsInStruct(words []string, s *schema, n *node) ([]step, bool) {
	for i := range words {
		target, ok := s.names[strings.Join(words[:i+1], "")]
		if !ok {
			continue
		}
		var path []step
		below, at := s, n
		for _, name := range target.path {
			below, at = below.names[fold(name)].schema, at.child(name)
			path = append(path, step{name: name, schema: below})
		}
		path[len(path)-1].unit = target.unit
		if rest, ok := steps(words[i+1:], below, at); ok {
			return append(path, rest...), true
		}
	}
	return nil, false
}

// stepsInMap takes an entry of the files whose letters and digits are those of the
// words; else a new one, in lower case, with dashes between its words.
func stepsInMap(words []string, s *schema, n *node) ([]step, bool) {
	if len(words) == 1 {
		if field, shared := s.sharedField(words[0]); shared != nil {
			return []step{{name: field, schema: shared}}, true
		}
	}
	for i := range words {
		for _, c := range childrenOf(n) {
			if letters(c.name) == strings.Join(words[:i+1], "") && c.kind == s.elem.kind {
				if rest, ok := steps(words[i+1:], s.elem, c); ok {
					return append([]step{{name: c.name, schema: s.elem}}, rest...), true
				}
			}
		}
	}
	for i := range words {
		name := strings.Join(words[:i+1], "-")
		if rest, ok := steps(words[i+1:], s.elem, nil); ok && letters(name) != "" {
			return append([]step{{name: name, schema: s.elem}}, rest...), true
		}
	}
	return nil, false
}

func childrenOf(n *node) []*node {
	if n == nil {
		return nil
	}
	return n.children
}

// letters are what the name of a variable can keep of a name.
func letters(name string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return unicode.ToLower(r)
		}
		return -1
	}, name)
}

// under is the path that the step leads to from path.
func (st step) under(path string) string {
	if st.name == "" {
		return element(path, st.index)
	}
	return join(path, shown(st.name))
}

// set writes one setting into the tree.
func (t *Tree) set(s setting) {
	at := variable(s.variable)
	n, path := t.root, ""
	for _, st := range s.steps {
		path = st.under(path)
		below := n.below(st, at)
		if below == nil {
			t.fail(at, path, fmt.Sprintf("the list has %d elements, number %d would leave a gap", len(n.children), st.index), "elements are numbered from 0")
			return
		}
		n = below
	}
	t.replace(n, s.steps[len(s.steps)-1], s.value, at, path)
}

// below is the node that a step leads to, made when it is missing; nil when the step
// leaves a gap in a list.
func (n *node) below(st step, at Place) *node {
	fresh := &node{kind: st.schema.kind, at: at, keyAt: at, fresh: true}
	switch {
	case st.name != "":
		if c := n.child(st.name); c != nil {
			return c
		}
		n.put(st.name, fresh)
	case st.index < len(n.children):
		return n.children[st.index]
	case st.index == len(n.children):
		n.children = append(n.children, fresh)
	default:
		return nil
	}
	return fresh
}

// replace gives a node the value of a variable.
func (t *Tree) replace(n *node, st step, value string, at Place, path string) {
	if !n.fresh && strings.HasPrefix(n.at.File, "environment ") {
		t.fail(at, path, "the key is set twice in the environment", "also by "+strings.TrimPrefix(n.at.File, "environment "))
		return
	}
	*n = node{kind: st.schema.kind, name: n.name, at: at, keyAt: at, unit: st.unit}
	if n.kind == scalar {
		n.text = value
		return
	}
	n.children, n.single = []*node{{at: at, text: value}}, true
}
