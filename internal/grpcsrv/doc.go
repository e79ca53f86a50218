// Package grpcsrv is the source of messages that microservices send by gRPC:
// [Server] takes the calls of MessageAsyncChannel and MessageSyncChannel, makes
// a message of each and calls a handler; what the handler returns becomes the
// answer, or a status that carries the gateway's error code. The same port
// serves grpc.health.v1, which follows readiness, and server reflection.
package grpcsrv
