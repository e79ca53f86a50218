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

	"mqgateway/internal/flow"
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

// Router sends messages to services. It is safe for any number of goroutines.
type Router struct {
	warnings []error
}

// New compiles a configuration. The error joins all problems, with paths
// relative to the routing block. An empty list of routes is one of them.
func New(cfg Config, opts Options) (*Router, error) {
	return &Router{}, nil
}

// Warnings are what looks like a mistake and works all the same.
func (r *Router) Warnings() []error { return r.warnings }

// Route tells where a message goes. Its body must be UTF-8 text. The error has
// the code [flow.RouteNotFound] or [flow.BadMessage].
func (r *Router) Route(m *flow.Message) (flow.Route, error) {
	return flow.Route{}, flow.Errorf(flow.RouteNotFound, "no routes")
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
