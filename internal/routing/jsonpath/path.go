// Package jsonpath finds texts in JSON bodies.
//
// A [Path] is compiled once. A [Document] is a whole body as a tree in the
// order in which it was written, over which every path runs. A [Stream] reads a
// body only as far as the values of a [Plan] need it; paths of plain keys and
// indexes, and $..key, can do that. Both ways share one scanner and find the
// same.
//
// The first match is always the first in the text of the body, and numbers
// stay as they were written.
package jsonpath

import (
	"fmt"
	"slices"
	"unicode/utf8"

	"mqgateway/internal/field"
)

// Path is a compiled expression. It is safe for any number of goroutines.
type Path struct {
	text     string
	segments []segment
	form     form
	streams  bool
}

// form is the shape of a path that streams: keys and indexes from the root, or
// a key anywhere.
type form struct {
	steps    []formStep
	anywhere string
}

type formStep struct {
	element bool
	name    string
	index   int
}

// Compile checks an expression. The error has its offset in the text, and names
// what is wrong and what may stand there.
func Compile(text string) (*Path, error) {
	segments, err := parse(text)
	if err != nil {
		offset := utf8.RuneCountInString(text[:min(err.at, len(text))])
		return nil, field.At("", offset, fmt.Errorf("JSONPath %q: %s", text, err.problem))
	}
	p := &Path{text: text, segments: segments}
	p.form, p.streams = formOf(segments)
	return p, nil
}

// String is the expression as it was written.
func (p *Path) String() string { return p.text }

// Streams tells that the path may be part of a [Plan].
func (p *Path) Streams() bool { return p.streams }

// Text returns the text of the first value that the path finds; it is empty
// when there is none. The error is a search over its budget.
func (p *Path) Text(d *Document) (string, error) {
	e := newEvaluation(d)
	found := e.follow(p.segments, 0)
	if e.budget < 0 {
		return "", fmt.Errorf("evaluating JSONPath %q takes too many steps over this body", p.text)
	}
	if len(found) == 0 {
		return "", nil
	}
	return d.text(slices.Min(found)), nil
}

// formOf finds the shape of a path that streams, if it has one.
func formOf(segments []segment) (form, bool) {
	var f form
	for _, s := range segments {
		if len(s.selectors) != 1 {
			return form{}, false
		}
		switch selected := s.selectors[0].(type) {
		case nameSelector:
			if s.descend {
				if len(segments) == 1 && selected != "" {
					return form{anywhere: string(selected)}, true
				}
				return form{}, false
			}
			f.steps = append(f.steps, formStep{name: string(selected)})
		case indexSelector:
			if s.descend || selected < 0 {
				return form{}, false
			}
			f.steps = append(f.steps, formStep{element: true, index: int(selected)})
		default:
			return form{}, false
		}
	}
	return f, true
}
