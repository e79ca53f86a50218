// Package expression compiles and runs the expressions of routing, in both
// dialects that configurations are written in: Java's methods
// (value.substring(0, 3)) and Go's functions and slices (value[0:3]).
//
// A source goes through a pass over its tokens, for what the parser of
// [expr] does not know, and through a translation of its tree, which checks
// types, counts in characters and lets only a small language without loops
// through. What is left runs on the machine of expr.
//
// [expr]: https://expr-lang.org
package expression

import (
	"fmt"
	"reflect"
	"sync"
	"unicode/utf8"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/checker"
	"github.com/expr-lang/expr/compiler"
	"github.com/expr-lang/expr/conf"
	"github.com/expr-lang/expr/optimizer"
	"github.com/expr-lang/expr/parser"
	"github.com/expr-lang/expr/vm"

	"mqgateway/internal/field"
)

// The budgets of an expression.
const (
	maxSource = 16 << 10 // characters of a source
	maxNodes  = 2_000    // nodes of its tree
	maxMemory = 10_000   // elements that it may make
	maxText   = 1 << 20  // bytes of a text that it makes longer
)

// Env declares what an expression may read, beside headers and userHeaders.
type Env struct {
	// Value allows value, the text that was found.
	Value bool
	// Variables are the names of variables that have been computed before.
	Variables []string
	// Later are names of variables that come only after this one.
	Later []string
}

// Program is a compiled expression. It is safe for any number of goroutines.
type Program struct {
	source    string
	usesValue bool
	warnings  []error
	constant  *string
	program   *vm.Program
}

// Compile checks a source and its types. The error is a field error without a
// path, with the offset of the place that is wrong.
func Compile(source string, env Env) (*Program, error) {
	p, err := compile(source, env)
	if err == nil {
		return p, nil
	}
	if hint := quoteHint(source, env); hint != "" {
		err = &problem{at: 0, text: hint}
	}
	return nil, field.At("", err.at, err)
}

// problem is what is wrong with a source, and at which character.
type problem struct {
	at   int
	text string
}

// Error implements error.
func (p *problem) Error() string { return p.text }

func compile(source string, env Env) (*Program, *problem) {
	if err := checkSource(source); err != nil {
		return nil, err
	}
	normal, err := normalize(source)
	if err != nil {
		return nil, err
	}
	config := newConfig()
	tree, parseErr := parser.ParseWithConfig(normal.text, config)
	if parseErr != nil {
		return nil, normal.locate(parseProblem(parseErr))
	}
	t := translator{env: env}
	translated, err := t.translate(tree.Node)
	if err != nil {
		return nil, normal.locate(err)
	}
	p := &Program{source: source, usesValue: t.usesValue}
	for _, w := range t.warnings {
		w = normal.locate(w)
		p.warnings = append(p.warnings, field.At("", w.at, w))
	}
	if constant, ok := translated.(*ast.StringNode); ok {
		p.constant = &constant.Value
		return p, nil
	}
	tree.Node = translated
	return p, p.finish(tree, config)
}

// finish hands the translated tree to expr's own checker and compiler.
func (p *Program) finish(tree *parser.Tree, config *conf.Config) *problem {
	if _, err := checker.Check(tree, config); err != nil {
		return parseProblem(err)
	}
	if err := optimizer.Optimize(&tree.Node, config); err != nil {
		return parseProblem(err)
	}
	program, err := compiler.Compile(tree, config)
	if err != nil {
		return parseProblem(err)
	}
	p.program = program
	return nil
}

func checkSource(source string) *problem {
	switch {
	case !utf8.ValidString(source):
		return &problem{0, "the expression is not UTF-8"}
	case utf8.RuneCountInString(source) > maxSource:
		return &problem{0, fmt.Sprintf("the expression is longer than %d characters", maxSource)}
	}
	return nil
}

func newConfig() *conf.Config {
	config := conf.New(map[string]any{})
	config.Functions = machineFunctions
	config.MaxNodes = maxNodes
	config.Expect = reflect.String
	return config
}

// String is the source.
func (p *Program) String() string { return p.source }

// Warnings are field errors, without a path, about what looks like a mistake.
func (p *Program) Warnings() []error { return p.warnings }

// Constant returns the result when it is the same for every message.
func (p *Program) Constant() (text string, ok bool) {
	if p.constant == nil {
		return "", false
	}
	return *p.constant, true
}

var machines = sync.Pool{New: func() any { return &vm.VM{MemoryBudget: maxMemory} }}

// Run evaluates the expression. The error names the expression and the length
// of the value, never the value.
func (p *Program) Run(s *Scope) (string, error) {
	if p.constant != nil {
		return *p.constant, nil
	}
	machine := machines.Get().(*vm.VM)
	out, err := machine.Run(p.program, s)
	clear(machine.Stack[:cap(machine.Stack)])
	machines.Put(machine)
	if err != nil {
		return "", p.fail(s, err)
	}
	return out.(string), nil
}

func (p *Program) fail(s *Scope, err error) error {
	cause := runtimeCause(err)
	if p.usesValue {
		return fmt.Errorf("evaluating %q over a value of %s: %w", p.source, characters(s.value.(string)), cause)
	}
	return fmt.Errorf("evaluating %q: %w", p.source, cause)
}
