package tree

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Place is where something was written. Line and Column count from 1; they are 0
// where there are none: a file as a whole, an environment variable.
type Place struct {
	File         string
	Line, Column int
}

// String is file:line:column, as editors and terminals understand it.
func (p Place) String() string {
	switch {
	case p.Line == 0:
		return p.File
	case p.Column == 0:
		return fmt.Sprintf("%s:%d", p.File, p.Line)
	default:
		return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column)
	}
}

// Problem is one mistake, or one thing worth a warning. It never holds a secret.
type Problem struct {
	Place Place
	// Path is the key, such as mq.connection.connections[0].port; empty for a
	// problem of a whole file.
	Path string
	// Text says what is wrong, Hint what to do; Hint may be empty.
	Text, Hint string
	// Excerpt is the source with a caret under the place, two lines; mostly empty.
	Excerpt string
}

// String is the problem as one line, with the excerpt, if any, below it.
func (p Problem) String() string {
	var b strings.Builder
	b.WriteString(p.Place.String())
	if p.Path != "" {
		b.WriteString(": " + p.Path)
	}
	b.WriteString(": " + p.Text)
	if p.Hint != "" {
		b.WriteString(" (" + p.Hint + ")")
	}
	if p.Excerpt != "" {
		b.WriteString("\n" + p.Excerpt)
	}
	return b.String()
}

// Problems are all that was found, sorted by place.
type Problems []Problem

// Error implements error: one problem a line.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// sorted returns the problems in the order of files (by rank), lines and columns,
// without repetitions.
func (ps Problems) sorted(rank map[string]int) Problems {
	ps = slices.Clone(ps)
	slices.SortStableFunc(ps, func(a, b Problem) int {
		return cmp.Or(
			cmp.Compare(fileRank(rank, a.Place.File), fileRank(rank, b.Place.File)),
			cmp.Compare(a.Place.File, b.Place.File),
			cmp.Compare(a.Place.Line, b.Place.Line),
			cmp.Compare(a.Place.Column, b.Place.Column),
			cmp.Compare(a.Path, b.Path),
		)
	})
	return slices.Compact(ps)
}

// fileRank puts what is no file, such as the environment, behind all files.
func fileRank(rank map[string]int, file string) int {
	if r, ok := rank[file]; ok {
		return r
	}
	return len(rank)
}
