package expression

import (
	"errors"
	"fmt"
	"reflect"

	"github.com/expr-lang/expr/builtin"
	"github.com/expr-lang/expr/conf"
	"github.com/expr-lang/expr/file"
)

// machineFunctions is all that a translated tree calls, by names that sources
// never reach directly. Each has its type, by which expr checks the tree again.
var machineFunctions = named(conf.FunctionsTable{
	"value":                reading[func(*Scope) string](value),
	"variable":             reading[func(*Scope, int, string) string](variable),
	"variableOrEmpty":      reading[func(*Scope, int, string) string](variableOrEmpty),
	"variableNamed":        reading[func(*Scope, *[]string, string) string](variableNamed),
	"variableNamedOrEmpty": reading[func(*Scope, *[]string, string) string](variableNamedOrEmpty),
	"hasVariable":          ternary(hasVariable),
	"header":               binary(header),
	"headerNamed":          binary(headerNamed),
	"hasHeader":            binary(hasHeader),
	"userHeader":           binary(userHeader),
	"hasUserHeader":        binary(hasUserHeader),

	"nonEmpty": reading[func(string) string](nonEmpty),
	"string":   reading[func(any) string](stringOf),
	"concat":   reading[func(...string) string](concat),
	"isOneOf":  reading[func(string, ...string) bool](isOneOf),
	"isIn":     binary(isIn),

	"quotient":  binary(quotient),
	"remainder": binary(remainder),
	"int":       unary(intOf),

	"computedPlace": unary(computedPlace),
	"length":        unary(length),
	"substring":     overloaded(binary(substringFrom), ternary(substring)),
	"sliceFrom":     binary(sliceFrom),
	"slice":         ternary(slice),
	"character":     binary(character),
	"charAt":        binary(charAt),
	"indexOf":       overloaded(binary(indexOf), ternary(indexOfFrom)),
	"lastIndexOf":   binary(lastIndexOf),

	"lower":      unary(lower),
	"upper":      unary(upper),
	"trim":       overloaded(unary(trim), binary(trimCharacters)),
	"trimJava":   unary(trimJava),
	"trimPrefix": binary(trimPrefix),
	"trimSuffix": binary(trimSuffix),
	"repeat":     binary(repeat),
	"replace":    overloaded(ternary(replace), quaternary(replaceFew)),

	"equalsIgnoreCase": binary(equalsIgnoreCase),
	"contains":         binary(contains),
	"startsWith":       binary(startsWith),
	"endsWith":         binary(endsWith),
	"isEmpty":          unary(isEmpty),
	"isBlank":          unary(isBlank),

	"matchesPart":  binary(matchesPart),
	"replaceAll":   ternary(replaceAll),
	"replaceFirst": ternary(replaceFirst),
	"splitJava":    overloaded(binary(splitJava), ternary(splitJavaFew)),

	"split":      overloaded(binary(split), ternary(splitFew)),
	"join":       overloaded(unary(joinPlain), binary(join)),
	"element":    binary(element),
	"first":      unary(first),
	"last":       unary(last),
	"listLength": unary(listLength),
})

func named(table conf.FunctionsTable) conf.FunctionsTable {
	for name, f := range table {
		f.Name = name
	}
	return table
}

// reading wraps a function over interface values, which passes texts on
// without allocating; F is its type.
func reading[F any](f func(arguments ...any) (any, error)) *builtin.Function {
	return &builtin.Function{Func: f, Types: []reflect.Type{reflect.TypeFor[F]()}}
}

func unary[A, R any](f func(A) (R, error)) *builtin.Function {
	return reading[func(A) R](func(a ...any) (any, error) { return f(a[0].(A)) })
}

func binary[A, B, R any](f func(A, B) (R, error)) *builtin.Function {
	return reading[func(A, B) R](func(a ...any) (any, error) { return f(a[0].(A), a[1].(B)) })
}

func ternary[A, B, C, R any](f func(A, B, C) (R, error)) *builtin.Function {
	return reading[func(A, B, C) R](func(a ...any) (any, error) { return f(a[0].(A), a[1].(B), a[2].(C)) })
}

func quaternary[A, B, C, D, R any](f func(A, B, C, D) (R, error)) *builtin.Function {
	return reading[func(A, B, C, D) R](func(a ...any) (any, error) {
		return f(a[0].(A), a[1].(B), a[2].(C), a[3].(D))
	})
}

// overloaded takes one more argument than the first with the second.
func overloaded(fewer, more *builtin.Function) *builtin.Function {
	least := fewer.Types[0].NumIn()
	return &builtin.Function{
		Func: func(a ...any) (any, error) {
			if len(a) == least {
				return fewer.Func(a...)
			}
			return more.Func(a...)
		},
		Types: append(fewer.Types, more.Types...),
	}
}

// parseProblem takes what expr found apart.
func parseProblem(err error) *problem {
	if e, ok := errors.AsType[*file.Error](err); ok {
		return &problem{e.From, e.Message}
	}
	return &problem{0, err.Error()}
}

// runtimeCause is the error of one of our functions, or what the machine says
// without its picture of the source, which would show a translated one.
func runtimeCause(err error) error {
	e, ok := errors.AsType[*file.Error](err)
	switch {
	case !ok:
		return err
	case e.Prev != nil:
		return e.Prev
	default:
		return fmt.Errorf("%s", e.Message)
	}
}
