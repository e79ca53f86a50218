package grpcsrv

import (
	"context"
	"errors"
	"strings"
	"unicode/utf8"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"mqgateway/internal/flow"
	"mqgateway/internal/mapping"
)

// maxText bounds the text of a status. It travels twice, as grpc-message, where
// a byte may take three, and inside the details in base64: together they stay
// below 4 KiB, half of what HTTP/2 stacks take as headers.
const maxText = 768

// toStatus is the gRPC status of an error, with its code as a detail. A caller
// that is gone gets none.
func toStatus(ctx context.Context, err error) error {
	if errors.Is(ctx.Err(), context.Canceled) {
		return status.Error(codes.Canceled, "call was cancelled")
	}
	code := codeOf(err)
	plain := status.New(grpcCode(code, err), messageOf(code, err))
	detailed, failed := plain.WithDetails(mapping.ErrorInfo(code))
	if failed != nil {
		return plain.Err()
	}
	return detailed.Err()
}

// codeOf is the code of err; the end of the caller's time is a reply that did
// not come.
func codeOf(err error) flow.Code {
	if _, ok := errors.AsType[*flow.Error](err); !ok && errors.Is(err, context.DeadlineExceeded) {
		return flow.ReplyTimeout
	}
	return flow.CodeOf(err)
}

// grpcCode is the table of codes. Where a code has two, the class tells.
func grpcCode(code flow.Code, err error) codes.Code {
	switch code {
	case flow.RouteNotFound:
		return codes.NotFound
	case flow.DestinationFailed:
		return destinationCode(err)
	case flow.BrokerFailed:
		return codes.Unavailable
	case flow.ValidationFailed:
		return codes.Aborted
	case flow.ValidatorFailed:
		return byClass(err, flow.Permanent, codes.Internal, codes.Unavailable)
	case flow.BadMessage:
		return codes.InvalidArgument
	case flow.Overloaded:
		return byClass(err, flow.Stopping, codes.Unavailable, codes.ResourceExhausted)
	case flow.ReplyTimeout:
		return codes.DeadlineExceeded
	default:
		return codes.Internal
	}
}

// byClass is one code for errors of the class and another for all else.
func byClass(err error, class flow.Class, match, other codes.Code) codes.Code {
	if flow.ClassOf(err) == class {
		return match
	}
	return other
}

// destinationCode is the code that the microservice itself answered with.
func destinationCode(err error) codes.Code {
	if errors.Is(err, context.DeadlineExceeded) {
		return codes.DeadlineExceeded
	}
	if st, ok := status.FromError(err); ok && st.Code() != codes.OK {
		return st.Code()
	}
	return codes.Unavailable
}

// messageOf is what the caller reads. A defect is told in the log only: its text
// may hold anything.
func messageOf(code flow.Code, err error) string {
	if code == flow.Internal {
		return "a defect of the gateway, which its log tells more about"
	}
	text := strings.ToValidUTF8(err.Error(), "\uFFFD")
	if len(text) <= maxText {
		return text
	}
	const more = "…"
	end := maxText - len(more)
	for !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + more
}
