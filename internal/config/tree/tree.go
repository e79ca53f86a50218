package tree

import (
	"reflect"
	"strings"
)

// Options say how files become a tree.
type Options struct {
	// Environ are the variables of the process, as os.Environ gives them.
	Environ []string
	// Prefix begins the names of variables that set keys, such as GATEWAY_.
	Prefix string
	// OtherVariables have the prefix, but are for somebody else.
	OtherVariables []string
	// UnknownKeysWarn makes a key that nobody knows a warning instead of a problem.
	UnknownKeysWarn bool
	// Ignored are keys, and blocks of keys, that are accepted without meaning,
	// with the reason. List indexes are left out: a.b for a[0].b.
	Ignored map[string]string
	// ReadFile reads files, those of ${file:} too. nil is [ReadFile].
	ReadFile func(name string) ([]byte, error)
	// Literal takes values as they are: ${} is no placeholder, and a null in place
	// of a text is an empty one. It is for files that hold data.
	Literal bool
}

// Tree is the merged configuration with the places that its values came from.
type Tree struct {
	opts      Options
	variables map[string]string
	schema    *schema
	root      *node
	// sources are the lines of each file, for excerpts; rank orders the files.
	sources map[string][]string
	rank    map[string]int

	problems, warnings Problems
	// blamed are the paths that have a problem already.
	blamed []string
	// lost tells that a whole file is missing, so that absent keys prove nothing.
	lost bool
	// ignored are the keys that were warned of.
	ignored map[string]bool
}

// Read reads the files, strongest first, lays them over each other and the
// environment over them. The keys are those of the type of config, a struct.
// Whatever is wrong is kept for [Tree.Problems].
func Read(config any, files []string, opts Options) *Tree {
	if opts.ReadFile == nil {
		opts.ReadFile = ReadFile
	}
	t := &Tree{
		opts:      opts,
		variables: variables(opts.Environ),
		schema:    schemaOf(reflect.TypeOf(config), ""),
		root:      &node{kind: table, at: Place{File: "environment"}},
		sources:   map[string][]string{},
		rank:      map[string]int{},
		ignored:   map[string]bool{},
	}
	for i, file := range files {
		if _, twice := t.rank[file]; twice {
			t.warn(Place{File: file}, "", "the file is named twice", "")
			continue
		}
		t.rank[file] = i
		t.lay(file)
	}
	t.warnShadowed(t.root, "")
	t.overlay()
	return t
}

// lay puts a file under what is there already.
func (t *Tree) lay(file string) {
	if t.root.at.Line == 0 {
		t.root.at = Place{File: file, Line: 1, Column: 1}
	}
	if doc := t.parse(file); doc != nil {
		r := resolver{tree: t, file: file, budget: maxNodes}
		merge(t.root, r.table(doc, t.schema, ""))
	}
}

// merge lays strong over weak; lists and scalars of strong replace those of weak.
func merge(strong, weak *node) {
	for _, w := range weak.children {
		switch s := strong.child(w.name); {
		case s == nil:
			strong.children = append(strong.children, w)
		case s.kind == table && w.kind == table:
			merge(s, w)
		default:
			s.shadowed = append(s.shadowed, w.place())
		}
	}
}

// warnShadowed tells of keys that stand in several files.
func (t *Tree) warnShadowed(n *node, path string) {
	if len(n.shadowed) > 0 {
		places := make([]string, len(n.shadowed))
		for i, p := range n.shadowed {
			places[i] = p.String()
		}
		t.warn(n.place(), path, "set here and at "+strings.Join(places, " and ")+"; this one holds", "")
	}
	if n.kind == table {
		for _, c := range n.children {
			t.warnShadowed(c, join(path, c.name))
		}
	}
}

// SetDefault sets a key that nobody has set. The origin is shown as its place.
func (t *Tree) SetDefault(path, text, origin string) {
	names := strings.Split(path, ".")
	n := t.root
	for _, name := range names[:len(names)-1] {
		n = n.ensure(name, t.root.at)
	}
	if last := names[len(names)-1]; n.child(last) == nil {
		// What is given here is no text of a user, and holds no ${}.
		n.put(last, &node{text: strings.ReplaceAll(text, "${", "$${"), at: Place{File: origin}})
	}
}

// Has tells whether somebody has set the path.
func (t *Tree) Has(path string) bool {
	_, missing := t.root.find(path)
	return missing == ""
}

// Place is where the value of a path stands, or the nearest value around it.
func (t *Tree) Place(path string) Place {
	n, _ := t.root.find(path)
	return n.place()
}

// Problems are all mistakes so far, sorted by place. It is empty when there are none.
func (t *Tree) Problems() Problems { return t.problems.sorted(t.rank) }

// Warnings are what is accepted, but worth a look, sorted by place.
func (t *Tree) Warnings() Problems { return t.warnings.sorted(t.rank) }

func (t *Tree) fail(at Place, path, text, hint string) {
	t.problems = append(t.problems, Problem{Place: at, Path: path, Text: text, Hint: hint})
	t.blamed = append(t.blamed, path)
}

func (t *Tree) warn(at Place, path, text, hint string) {
	t.warnings = append(t.warnings, Problem{Place: at, Path: path, Text: text, Hint: hint})
}
