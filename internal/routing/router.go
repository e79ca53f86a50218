// Package routing finds the service that a message goes to.
//
// A [Router] is compiled from a [Config] once, when the configuration loads,
// and then runs for every message: rules name the route, the route's entry
// computes variables from headers and body, an expression joins them to the
// authority of the service. What cannot work is an error at load; what a
// message lacks is an error of that message.
package routing

import (
	"context"
	"sync"

	"mqgateway/internal/flow"
	"mqgateway/internal/routing/jsonpath"
	"mqgateway/internal/routing/xmlpath"
)

// Options are the settings of other blocks that routing needs. Zero values take
// the defaults.
type Options struct {
	// TypeParser is auto, DOM or SAX (mq.typeParser). Default auto.
	TypeParser string
	// XMLMaxDepth bounds the nesting of elements. Default 256.
	XMLMaxDepth int
	// JSONMaxDepth bounds the nesting of objects and arrays. Default 128.
	JSONMaxDepth int
	// NeedAllowed makes AllowedDestinations required, as calls without a mesh do.
	NeedAllowed bool
}

// defaultRoute is the entry for messages that no other entry is for.
const defaultRoute = "default"

// Router sends messages to services. It is safe for any number of goroutines.
type Router struct {
	routeName finder
	entries   map[string]*entry
	allowed   []pattern
	warnings  []error

	// The paths of all rules that stream, and whether all paths do.
	xmlPlan     *xmlpath.Plan
	jsonPlan    *jsonpath.Plan
	streamsXML  bool
	streamsJSON bool
	xmlLimits   xmlpath.Limits
	jsonLimits  jsonpath.Limits

	evaluations sync.Pool // of *evaluation
}

// Warnings are what looks like a mistake and works all the same; they have
// paths relative to the routing block.
func (r *Router) Warnings() []error { return r.warnings }

// Route tells where a message goes. Its body must be UTF-8 text. The error has
// the code [flow.RouteNotFound] or [flow.BadMessage]; the route then tells as
// much as was found.
func (r *Router) Route(m *flow.Message) (flow.Route, error) {
	e := r.evaluations.Get().(*evaluation)
	route, err := e.run(m)
	e.release()
	r.evaluations.Put(e)
	return route, err
}

// Middleware writes the route of a message before it calls next.
func (r *Router) Middleware(next flow.Handler) flow.Handler {
	return func(ctx context.Context, in *flow.Message) (*flow.Message, error) {
		route, err := r.Route(in)
		in.Route = route
		if err != nil {
			return nil, err
		}
		return next(ctx, in)
	}
}
