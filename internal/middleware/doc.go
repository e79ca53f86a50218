// Package middleware wraps handlers with one concern each, one file a concern:
// recovering from panics, counting, logging. The order in which they stand
// around a flow is a visible list in the wiring.
package middleware
