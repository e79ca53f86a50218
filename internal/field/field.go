// Package field ties a problem to the configuration key that has it.
//
// Each package checks its own Config and names keys relative to it; whoever
// holds that Config adds the path in front with [Under]; the loader looks the
// whole path up and adds file, line and column.
package field

import (
	"errors"
	"fmt"
	"strings"
)

// Error is a problem at a key.
type Error struct {
	// Path is the key, such as routeList[1].variables[0].expr.
	Path string
	// Offset is the place inside the text of the value, in characters; -1 when
	// the whole value is meant.
	Offset int
	Err    error
}

// Error implements error.
func (e *Error) Error() string {
	if e.Path == "" {
		return e.Err.Error()
	}
	return e.Path + ": " + e.Err.Error()
}

// Unwrap gives the cause to [errors.Is] and [errors.As].
func (e *Error) Unwrap() error { return e.Err }

// Errorf makes a problem at path.
func Errorf(path, format string, args ...any) error {
	return &Error{Path: path, Offset: -1, Err: fmt.Errorf(format, args...)}
}

// If is [Errorf] where something is wrong, and nil elsewhere.
func If(wrong bool, path, format string, args ...any) error {
	if !wrong {
		return nil
	}
	return Errorf(path, format, args...)
}

// At makes a problem at a place inside the value at path.
func At(path string, offset int, err error) error {
	return &Error{Path: path, Offset: offset, Err: err}
}

// Under puts prefix in front of the paths of err, which may be nil or joined.
func Under(prefix string, err error) error {
	var all []error
	for _, e := range All(err) {
		all = append(all, &Error{Path: join(prefix, e.Path), Offset: e.Offset, Err: e.Err})
	}
	return errors.Join(all...)
}

// All returns the problems of err, in order. An error without a path gets the
// empty one.
func All(err error) []*Error {
	if err == nil {
		return nil
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var all []*Error
		for _, e := range joined.Unwrap() {
			all = append(all, All(e)...)
		}
		return all
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return []*Error{e}
	}
	return []*Error{{Offset: -1, Err: err}}
}

func join(prefix, path string) string {
	switch {
	case prefix == "":
		return path
	case path == "", strings.HasPrefix(path, "["):
		return prefix + path
	default:
		return prefix + "." + path
	}
}
