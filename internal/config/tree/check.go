package tree

import (
	"errors"
	"strings"

	"mqgateway/internal/field"
)

// Twin is a problem that another key has a part in: two values that must differ, for
// example. The place of the other is added to its text.
type Twin struct {
	// Other is the path of the other key, in full. The problem stands there when its
	// own key is not set.
	Other string
	Err   error
}

// Error implements error.
func (e *Twin) Error() string { return e.Err.Error() }

// Unwrap gives the cause to [errors.Is] and [errors.As].
func (e *Twin) Unwrap() error { return e.Err }

// Check adds the problems of err, which are joined field errors with whole paths,
// or nil. Where a value could not be read at all, nothing more is said of it.
func (t *Tree) Check(err error) {
	for _, e := range field.All(err) {
		if p, known := t.placed(e); !known {
			t.problems = append(t.problems, p)
		}
	}
}

// Advise adds the problems of err, as for [Tree.Check], to the warnings.
func (t *Tree) Advise(err error) {
	for _, e := range field.All(err) {
		if p, known := t.placed(e); !known {
			t.warnings = append(t.warnings, p)
		}
	}
}

// placed finds out where a problem stands. known tells that it follows from another.
func (t *Tree) placed(e *field.Error) (p Problem, known bool) {
	n, missing := t.root.find(e.Path)
	p = Problem{Place: n.place(), Path: e.Path, Text: e.Err.Error()}
	if twin, ok := errors.AsType[*Twin](e.Err); ok {
		other, unset := t.root.find(twin.Other)
		if missing != "" {
			p.Place = other.place()
		} else if unset == "" {
			p.Hint = "see " + other.place().String()
		}
		return p, t.blames(e.Path) || t.blames(twin.Other)
	}
	if missing != "" {
		p.Hint = "add " + missing + under(strings.TrimSuffix(e.Path, missing))
		return p, t.lost || t.blames(e.Path)
	}
	if e.Offset >= 0 && n.kind == scalar && !n.secret {
		p.Excerpt, p.Place = t.excerpt(n, e.Offset)
	}
	return p, t.blames(e.Path)
}

func under(path string) string {
	if path = strings.TrimSuffix(path, "."); path != "" {
		return " under " + path
	}
	return ""
}

// blames tells that path, or something above or below it, has a problem already.
func (t *Tree) blames(path string) bool {
	for _, blamed := range t.blamed {
		_, above := cutName(path, blamed)
		_, below := cutName(blamed, path)
		if blamed != "" && path != "" && (above || below) {
			return true
		}
	}
	return false
}
