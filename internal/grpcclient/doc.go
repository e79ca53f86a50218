// Package grpcclient is the target of messages that are routed to microservices:
// [Caller] calls MessageAsyncChannel, or MessageSyncChannel where the answer is
// the reply, of the authority that the router chose, through a mesh (one pool of
// connections, the authority travels with the call) or directly (the authority is
// resolved and connected to). What went wrong comes back with its class, so that
// whoever called knows whether to try again. Nothing is retried here.
package grpcclient
