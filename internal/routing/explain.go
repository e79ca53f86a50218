package routing

import (
	"fmt"

	"mqgateway/internal/flow"
	"mqgateway/internal/routing/expression"
)

// Explanation tells how a message was routed, or why it was not. It shows values
// of the message. Its JSON is one object, with every key but error always there.
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

// Step is one thing that routing did. The last step of a message that failed has
// an Error, no other has.
type Step struct {
	Stage Stage `json:"stage"`
	// Variable is the name at stage variable.
	Variable string `json:"variable,omitempty"`
	// Rule and Expression are what was run; at most one of them is set.
	Rule       string `json:"rule,omitempty"`
	Expression string `json:"expression,omitempty"`
	// Value is what came out; empty for nothing.
	Value string `json:"value"`
	// Reason says why a rule found nothing, or why the entry is used.
	Reason string `json:"reason,omitempty"`
	Error  string `json:"error,omitempty"`
}

// Stage is what a step is for.
type Stage string

// The stages, in their order.
const (
	// StageBody makes the body text. The router does not; it only fails (see
	// [Explanation.Fail]).
	StageBody Stage = "body"
	// StageRouteName runs a rule or the expression of routeName.
	StageRouteName Stage = "routeName"
	// StageRoute takes an entry of routeList.
	StageRoute Stage = "route"
	// StageVariable runs a rule or the expression of a variable.
	StageVariable Stage = "variable"
	// StageDestination runs destinationExpression.
	StageDestination Stage = "destination"
	// StageSubstitution replaces the result by an entry of destinations.
	StageSubstitution Stage = "substitution"
	// StageAuthority checks the result.
	StageAuthority Stage = "authority"
	// StageMessage makes what the service gets. The router does not, as with StageBody.
	StageMessage Stage = "message"
)

// Failure is why a message can't be delivered.
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
	if err != nil {
		x.Error = failureOf(err)
	}
	return x, err
}

// Fail explains a message that fails before it is routed, or after it. The zero
// value of an Explanation may be used.
func (x *Explanation) Fail(stage Stage, err error) {
	if x.Variables == nil {
		x.Variables = make(map[string]string)
	}
	x.add(Step{Stage: stage}, err)
	x.Error = failureOf(err)
}

// failureOf takes an error without a code for a defect, as everybody does.
func failureOf(err error) *Failure {
	code := flow.CodeOf(err)
	return &Failure{int(code), code.Name(), err.Error()}
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
func stageOf(variable string) Stage {
	if variable == "" {
		return StageRouteName
	}
	return StageVariable
}

func (x *Explanation) tried(e *evaluation, variable string, r *rule, found string, err error) {
	if x == nil {
		return
	}
	s := Step{Stage: stageOf(variable), Variable: variable, Rule: e.triedRule(r), Value: found}
	if found == "" && err == nil {
		s.Reason = e.whyNothing(r)
	}
	x.add(s, err)
}

func (x *Explanation) evaluated(stage Stage, variable string, p *expression.Program, result string, err error) {
	if x != nil {
		x.add(Step{Stage: stage, Variable: variable, Expression: p.String(), Value: result}, err)
	}
}

func (x *Explanation) named(name string) {
	if x != nil {
		x.RouteName = name
	}
}

// entered is told the name that was looked for, too.
func (x *Explanation) entered(name string, e *entry) {
	switch {
	case x == nil:
	case e.name == name:
		x.add(Step{Stage: StageRoute, Value: e.name}, nil)
	case name != "":
		x.add(Step{Stage: StageRoute, Value: e.name, Reason: fmt.Sprintf("no entry %q", name)}, nil)
	case len(x.Steps) > 0:
		x.add(Step{Stage: StageRoute, Value: e.name, Reason: "routeName yields no name"}, nil)
	default:
		x.add(Step{Stage: StageRoute, Value: e.name, Reason: "no routeName"}, nil)
	}
}

func (x *Explanation) lost(err error) {
	if x != nil {
		x.add(Step{Stage: StageRoute}, err)
	}
}

func (x *Explanation) computed(name, text string) {
	if x != nil {
		x.Variables[name] = text
	}
}

func (x *Explanation) substituted(to string) {
	if x != nil {
		x.add(Step{Stage: StageSubstitution, Value: to}, nil)
	}
}

func (x *Explanation) checked(authority string, err error) {
	if x != nil {
		x.add(Step{Stage: StageAuthority, Value: authority}, err)
	}
}

// triedRule names the rule, of a fromBody rule only the path for the body's kind.
func (e *evaluation) triedRule(r *rule) string {
	switch {
	case r.kind == fromBody && e.body.kind == xmlBody && r.xml.path != nil:
		return fmt.Sprintf("fromBody %q", r.xml.path)
	case r.kind == fromBody && e.body.kind == jsonBody && r.json.path != nil:
		return fmt.Sprintf("fromBody %q", r.json.path)
	default:
		return r.String()
	}
}

// whyNothing says why a rule found nothing.
func (e *evaluation) whyNothing(r *rule) string {
	switch r.kind {
	case fromHeader:
		if r.property == nil {
			return "no broker here has it"
		}
		return "not set"
	case fromBody:
		return e.whyNoMatch(r)
	case fromConst:
		return "empty"
	case fromMetadata, fromAuthority:
		if e.message.Call == nil {
			return "no incoming call"
		}
		return "not set"
	default:
		return "not set"
	}
}

func (e *evaluation) whyNoMatch(r *rule) string {
	switch {
	case len(e.message.Body) == 0:
		return "no body"
	case e.body.kind == opaqueBody:
		return "body is neither XML nor JSON"
	case e.body.kind == xmlBody && r.xml.path == nil:
		return "no XPath for an XML body"
	case e.body.kind == jsonBody && r.json.path == nil:
		return "no JSONPath for a JSON body"
	default:
		return "no match, or an empty one"
	}
}
