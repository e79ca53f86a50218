package expression

import (
	"fmt"
	"slices"
	"strconv"

	"mqgateway/internal/flow"
)

func value(a ...any) (any, error) { return a[0].(*Scope).value, nil }

// variable reads by index; the name is for the error.
func variable(a ...any) (any, error) {
	text := a[0].(*Scope).variables[a[1].(int)]
	if text == "" {
		return nil, noValue(a[2].(string))
	}
	return text, nil
}

func noValue(name string) error { return fmt.Errorf("variable %q has no value", name) }

func variableOrEmpty(a ...any) (any, error) { return a[0].(*Scope).variables[a[1].(int)], nil }

// variableNamed reads by a name that only the message tells.
func variableNamed(a ...any) (any, error) {
	text, err := variableNamedOrEmpty(a...)
	if err == nil && text == "" {
		return nil, noValue(a[2].(string))
	}
	return text, err
}

func variableNamedOrEmpty(a ...any) (any, error) {
	i := slices.Index(*a[1].(*[]string), a[2].(string))
	if i < 0 {
		return nil, fmt.Errorf("no variable has the computed name, which is %s long", characters(a[2].(string)))
	}
	return a[0].(*Scope).variables[i], nil
}

func hasVariable(s *Scope, names *[]string, name string) (bool, error) {
	i := slices.Index(*names, name)
	return i >= 0 && s.variables[i] != "", nil
}

// header is a system header; p is nil for one that never has a value.
func header(s *Scope, p *flow.Property) (string, error) {
	if p == nil {
		return "", nil
	}
	return p.Text(s.message), nil
}

func headerNamed(s *Scope, name string) (string, error) {
	p, ok := flow.PropertyByName(name)
	if !ok {
		return "", nil
	}
	return p.Text(s.message), nil
}

func hasHeader(s *Scope, name string) (bool, error) {
	text, err := headerNamed(s, name)
	return text != "", err
}

func userHeader(s *Scope, name string) (string, error) {
	text, _ := s.userHeader(name)
	return text, nil
}

func hasUserHeader(s *Scope, name string) (bool, error) {
	_, found := s.userHeader(name)
	return found, nil
}

// nonEmpty is the left side of ??: nothing for the empty text.
func nonEmpty(a ...any) (any, error) {
	if a[0] == "" {
		return nil, nil
	}
	return a[0], nil
}

// stringOf is a number or a condition as text.
func stringOf(a ...any) (any, error) {
	switch v := a[0].(type) {
	case string:
		return v, nil
	case int:
		return strconv.Itoa(v), nil
	case bool:
		return strconv.FormatBool(v), nil
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64), nil
	default:
		return nil, fmt.Errorf("a list is no text; join it")
	}
}
