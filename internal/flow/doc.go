// Package flow is the vocabulary of the gateway: what a message is, what
// handles it, and what can go wrong.
//
// A source (a queue listener, a gRPC server) makes a [Message] and calls a
// [Handler]; a target (a gRPC caller, a publisher) is a handler; between them
// stand [Middleware] and the router. Replies and errors travel back as return
// values. The package imports nothing of ours, and everybody imports it.
package flow
