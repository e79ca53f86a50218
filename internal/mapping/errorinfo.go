package mapping

import (
	"strconv"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/status"

	"mqgateway/internal/flow"
)

// errorDomain marks the error details that a gateway wrote.
const errorDomain = "mq-gateway"

// ErrorInfo is the detail by which a gRPC status carries a code.
func ErrorInfo(code flow.Code) *errdetails.ErrorInfo {
	return &errdetails.ErrorInfo{
		Reason:   code.Name(),
		Domain:   errorDomain,
		Metadata: map[string]string{"code": strconv.Itoa(int(code))},
	}
}

// CodeOfStatus returns the code that a gateway put into the status; false when
// the status is somebody else's.
func CodeOfStatus(st *status.Status) (flow.Code, bool) {
	for _, detail := range st.Details() {
		info, ok := detail.(*errdetails.ErrorInfo)
		if !ok || info.GetDomain() != errorDomain {
			continue
		}
		number, err := strconv.Atoi(info.GetMetadata()["code"])
		if code := flow.Code(number); err == nil && code.Name() != "" {
			return code, true
		}
	}
	return 0, false
}
