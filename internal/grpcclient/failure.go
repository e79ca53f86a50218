package grpcclient

import (
	"errors"
	"fmt"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"mqgateway/internal/flow"
	"mqgateway/internal/mapping"
)

// commonLimit is the size of a request that gRPC servers take when nobody told
// them otherwise.
const commonLimit = 4 << 20

// notPrepared is a call that could not be begun: its authority can't be
// connected to, or the gateway stops.
func notPrepared(authority string, err error) *flow.Error {
	class := flow.Permanent
	if errors.Is(err, errClosed) {
		class = flow.Stopping
	}
	return flow.Errorf(flow.DestinationFailed, "calling %q: %w", authority, err).WithClass(class)
}

// failure is what is known of a call that failed.
type failure struct {
	authority, address string
	// size of the request in bytes.
	size int
	// stopping tells that the gateway ended the call itself.
	stopping bool
}

// of makes the error of a call from its gRPC status.
func (f failure) of(err error) *flow.Error {
	class, hint := f.class(status.Convert(err))
	return &flow.Error{
		Code:  flow.DestinationFailed,
		Class: class,
		Err:   fmt.Errorf("calling %q at %s: %w%s", f.authority, f.address, err, hint),
	}
}

// class tells what the status means for the message, and what a reader of the
// error should know beside.
func (f failure) class(st *status.Status) (class flow.Class, hint string) {
	if st.Code() == codes.Canceled && f.stopping {
		return flow.Stopping, ""
	}
	if code, ok := mapping.CodeOfStatus(st); ok {
		return code.Class(), fmt.Sprintf(" (%d %s of the gateway that was called)", code, code.Name())
	}
	switch st.Code() {
	case codes.Unavailable, codes.DeadlineExceeded, codes.Aborted:
		return flow.Transient, ""
	case codes.ResourceExhausted:
		return f.exhausted()
	case codes.Unimplemented:
		return flow.Permanent, "; usually the mesh does not know this authority, or the service does not serve this channel"
	default:
		return flow.Permanent, ""
	}
}

// exhausted tells a service short of something from one that refuses the size,
// for which gRPC has the same code.
func (f failure) exhausted() (class flow.Class, hint string) {
	if f.size > commonLimit {
		return flow.Permanent, fmt.Sprintf("; the request of %d bytes is over the %d that services take unless they are told otherwise", f.size, commonLimit)
	}
	return flow.Transient, ""
}
