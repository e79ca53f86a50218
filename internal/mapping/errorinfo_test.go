package mapping_test

import (
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"

	"mqgateway/internal/flow"
	"mqgateway/internal/mapping"
)

func TestCodeOfStatus(t *testing.T) {
	t.Parallel()
	info := func(domain, code string) protoadapt.MessageV1 {
		return &errdetails.ErrorInfo{Domain: domain, Metadata: map[string]string{"code": code}}
	}
	for _, tt := range []struct {
		name   string
		detail protoadapt.MessageV1
		want   flow.Code
	}{
		{"ours", mapping.ErrorInfo(flow.ReplyTimeout), flow.ReplyTimeout},
		{"of another domain", info("example.com", "606"), 0},
		{"a code that nobody has", info("mq-gateway", "699"), 0},
		{"a code that is no number", info("mq-gateway", "BAD_MESSAGE"), 0},
		{"another detail", &errdetails.RetryInfo{}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			st, err := status.New(codes.Aborted, "x").WithDetails(tt.detail)
			if err != nil {
				t.Fatal(err)
			}
			if got, ok := mapping.CodeOfStatus(st); got != tt.want || ok != (tt.want != 0) {
				t.Errorf("code = %d, %t, want %d", got, ok, tt.want)
			}
		})
	}
	if _, ok := mapping.CodeOfStatus(nil); ok {
		t.Error("no status has a code")
	}
}

func TestErrorInfo(t *testing.T) {
	t.Parallel()
	got := mapping.ErrorInfo(flow.BadMessage)
	if got.GetReason() != "BAD_MESSAGE" || got.GetDomain() != "mq-gateway" || got.GetMetadata()["code"] != "606" {
		t.Errorf("info = %v", got)
	}
}
