package routing

import (
	"errors"
	"fmt"
	"strings"

	"mqgateway/internal/flow"
	"mqgateway/internal/routing/expression"
)

// Explanation tells how a message was routed, for a person (String) or a
// program (JSON). It shows values of the message.
type Explanation struct {
	// RouteName is what routeName yields, Route the entry that is used.
	RouteName     string            `json:"routeName"`
	Route         string            `json:"route"`
	Variables     map[string]string `json:"variables"`
	Destination   string            `json:"destination"`
	TransportType string            `json:"transportType"`
	Steps         []Step            `json:"steps"`
	Error         *Failure          `json:"error,omitempty"`
}

// Step is one thing that routing did.
type Step struct {
	// Stage is routeName, route, variable, destination, substitution or authority.
	Stage string `json:"stage"`
	// Variable is the name at stage variable.
	Variable   string `json:"variable,omitempty"`
	Rule       string `json:"rule,omitempty"`
	Expression string `json:"expression,omitempty"`
	// Value is what the rule found or the expression yields; empty for nothing.
	Value string `json:"value"`
	Error string `json:"error,omitempty"`
}

// Failure is why a message has no route.
type Failure struct {
	Code    int    `json:"code"`
	Name    string `json:"name"`
	Message string `json:"message"`
}

// Explain routes a message and tells each step. The error is that of
// [Router.Route], and the explanation reaches up to it.
func (r *Router) Explain(m *flow.Message) (*Explanation, error) {
	x := &Explanation{Variables: make(map[string]string), Steps: []Step{}}
	e := r.evaluations.Get().(*evaluation)
	e.trace = x
	route, err := e.run(m)
	e.release()
	r.evaluations.Put(e)
	x.Route, x.Destination, x.TransportType = route.Name, route.Destination, route.Transport
	if failure, ok := errors.AsType[*flow.Error](err); ok {
		x.Error = &Failure{int(failure.Code), failure.Code.Name(), failure.Error()}
	}
	return x, err
}

// String is the explanation as lines of text.
func (x *Explanation) String() string {
	var out strings.Builder
	for _, s := range x.Steps {
		out.WriteString(s.String())
		out.WriteByte('\n')
	}
	if x.Error != nil {
		fmt.Fprintf(&out, "error %d %s: %s\n", x.Error.Code, x.Error.Name, x.Error.Message)
	}
	return out.String()
}

// String is the step as a line.
func (s Step) String() string {
	what := s.Stage
	if s.Variable != "" {
		what += " " + s.Variable
	}
	for _, more := range []string{s.Rule, s.Expression} {
		if more != "" {
			what += ": " + more
		}
	}
	switch {
	case s.Error != "":
		return what + " -> error: " + s.Error
	case s.Value == "":
		return what + " -> nothing"
	default:
		return fmt.Sprintf("%s -> %q", what, s.Value)
	}
}

// The methods below record a step; on nil they do nothing, so that routing
// costs nothing when nobody asked.

func (x *Explanation) add(s Step, err error) {
	if err != nil {
		s.Error = err.Error()
	}
	x.Steps = append(x.Steps, s)
}

// stageOf tells what a finder is run for.
func stageOf(variable string) string {
	if variable == "" {
		return "routeName"
	}
	return "variable"
}

func (x *Explanation) tried(variable string, r *rule, found string, err error) {
	if x != nil {
		x.add(Step{Stage: stageOf(variable), Variable: variable, Rule: r.String(), Value: found}, err)
	}
}

func (x *Explanation) evaluated(stage, variable string, p *expression.Program, result string, err error) {
	if x != nil {
		x.add(Step{Stage: stage, Variable: variable, Expression: p.String(), Value: result}, err)
	}
}

func (x *Explanation) named(name string) {
	if x != nil {
		x.RouteName = name
	}
}

func (x *Explanation) entered(e *entry) {
	if x != nil {
		x.add(Step{Stage: "route", Value: e.name}, nil)
	}
}

func (x *Explanation) computed(name, text string) {
	if x != nil {
		x.Variables[name] = text
	}
}

func (x *Explanation) substituted(to string) {
	if x != nil {
		x.add(Step{Stage: "substitution", Value: to}, nil)
	}
}
