package routing

import (
	"fmt"
	"strings"

	"mqgateway/internal/flow"
	"mqgateway/internal/routing/expression"
)

// evaluation routes one message at a time. It belongs to one goroutine.
type evaluation struct {
	router  *Router
	message *flow.Message
	entry   *entry // nil until the route is found
	scope   expression.Scope
	body    body
	trace   *Explanation // nil when nobody asked
}

// release forgets the message, so that the pool keeps no body alive.
func (e *evaluation) release() {
	e.message, e.entry, e.trace = nil, nil, nil
	e.scope.Reset(nil)
	e.body.release()
}

// run is the steps of routing.
func (e *evaluation) run(m *flow.Message) (flow.Route, error) {
	e.message = m
	e.scope.Reset(m)
	name, err := e.routeName()
	if err != nil {
		return flow.Route{}, err
	}
	if e.entry, err = e.findEntry(name); err != nil {
		return flow.Route{}, err
	}
	route := flow.Route{Name: e.entry.name, Transport: e.entry.transport}
	if err := e.computeVariables(); err != nil {
		return route, err
	}
	destination, err := e.destination()
	if err != nil {
		return route, err
	}
	route.Destination = destination
	return route, nil
}

// routeName is the first step; empty when no rule yields a name.
func (e *evaluation) routeName() (string, error) {
	name, err := e.compute(&e.router.routeName, "")
	if err != nil {
		return "", annotate("naming the route", err)
	}
	e.trace.named(name)
	return name, nil
}

func (e *evaluation) findEntry(name string) (*entry, error) {
	found, ok := e.router.entries[name]
	if !ok {
		found, ok = e.router.entries[defaultRoute]
	}
	if ok {
		e.trace.entered(name, found)
		return found, nil
	}
	err := flow.Errorf(flow.RouteNotFound, "finding the route: routeList has neither %s nor an entry %q", shown(name), defaultRoute)
	if name == "" {
		err = flow.Errorf(flow.RouteNotFound, "finding the route: no rule of routeName yields a name, and routeList has no entry %q", defaultRoute)
	}
	e.trace.lost(err)
	return nil, err
}

func (e *evaluation) computeVariables() error {
	for i := range e.entry.variables {
		v := &e.entry.variables[i]
		text, err := e.compute(&v.finder, v.name)
		if err != nil {
			return annotate(fmt.Sprintf("route %q: computing variable %q", e.entry.name, v.name), err)
		}
		e.scope.AddVariable(text)
		e.trace.computed(v.name, text)
	}
	return nil
}

// compute runs rules until one yields a text, and the expression over that.
func (e *evaluation) compute(f *finder, variable string) (string, error) {
	for i := range f.rules {
		r := &f.rules[i]
		found, err := e.find(r)
		e.trace.tried(e, variable, r, found, err)
		if err != nil {
			return "", annotate(fmt.Sprintf("rule %d (%s)", i+1, r), err)
		}
		if found == "" {
			continue
		}
		if f.program == nil {
			return found, nil
		}
		e.scope.SetValue(found)
		result, err := f.program.Run(&e.scope)
		e.trace.evaluated(stageOf(variable), variable, f.program, result, err)
		if err != nil {
			return "", flow.Errorf(flow.RouteNotFound, "rule %d (%s): %w", i+1, r, err)
		}
		return result, nil
	}
	return "", nil
}

// destination is the fourth and fifth step.
func (e *evaluation) destination() (string, error) {
	result, err := e.entry.destination.Run(&e.scope)
	e.trace.evaluated(StageDestination, "", e.entry.destination, result, err)
	if err != nil {
		return "", flow.Errorf(flow.RouteNotFound, "route %q: computing the destination: %w", e.entry.name, err)
	}
	if other, ok := e.entry.substitute(result); ok {
		e.trace.substituted(other)
		result = other
	}
	err = e.router.checkDestination(result)
	e.trace.checked(result, err)
	if err != nil {
		return "", flow.Errorf(flow.RouteNotFound, "route %q: destination expression %q: %w", e.entry.name, e.entry.destination, err)
	}
	return result, nil
}

func (t *entry) substitute(destination string) (string, bool) {
	if len(t.destinations) == 0 {
		return "", false
	}
	other, ok := t.destinations[strings.ToLower(destination)]
	return other, ok
}

// streams tells that all paths which the message can still reach stream.
func (e *evaluation) streams(kind bodyKind) bool {
	switch {
	case e.entry == nil && kind == xmlBody:
		return e.router.streamsXML
	case e.entry == nil:
		return e.router.streamsJSON
	case kind == xmlBody:
		return e.entry.streamsXML
	default:
		return e.entry.streamsJSON
	}
}

// annotate says what was being done, and keeps the code.
func annotate(doing string, err error) error {
	return flow.Errorf(flow.CodeOf(err), "%s: %w", doing, err)
}

// longestShown bounds what an error repeats of a text that a message made.
const longestShown = 64

// shown is a text for an error: as it is when it looks like a name, else its
// length, since it may be a piece of the body.
func shown(text string) string {
	if len(text) <= longestShown && strings.Trim(text, nameCharacters) == "" {
		return fmt.Sprintf("%q", text)
	}
	return fmt.Sprintf("a text of %d characters", len([]rune(text)))
}

const nameCharacters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.:/[]"
