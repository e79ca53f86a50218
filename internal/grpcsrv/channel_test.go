package grpcsrv_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/testing/protocmp"

	"mqgateway/api/proto/gateway"
	"mqgateway/internal/flow"
	"mqgateway/internal/grpcsrv"
	"mqgateway/internal/mapping"
)

func TestAsyncAnswersWithTheIDThatIsUsed(t *testing.T) {
	t.Parallel()
	seen := make(chan *flow.Message, 2) // One for each call.
	s := start(t, grpcsrv.Config{}, grpcsrv.Options{Async: func(_ context.Context, m *flow.Message) (*flow.Message, error) {
		seen <- m
		return nil, nil
	}})
	for id, want := range map[string]string{"m-1": "m-1", "": "made"} {
		before := time.Now().UnixMilli()
		heartbeat, err := s.async(within(t), &gateway.ProtoMessage{MessageId: id, Body: "text"})
		if err != nil {
			t.Fatal(err)
		}
		if heartbeat.GetMessageId() != want || heartbeat.GetTimestamp() < before || heartbeat.GetTimestamp() > time.Now().UnixMilli() {
			t.Errorf("heartbeat = %v, want id %q and the time of the call", heartbeat, want)
		}
		if m := <-seen; m.ID != want || string(m.Body) != "text" || m.To.Key != "out" {
			t.Errorf("message = %+v", m)
		}
	}
}

func TestSyncAnswersWithTheReply(t *testing.T) {
	t.Parallel()
	s := start(t, grpcsrv.Config{}, grpcsrv.Options{Sync: func(_ context.Context, m *flow.Message) (*flow.Message, error) {
		if m.ID == "none" {
			return nil, nil
		}
		return &flow.Message{ID: "r-1", CorrelID: m.ID, Body: append([]byte("re: "), m.Body...)}, nil
	}})
	reply, err := s.sync(within(t), &gateway.ProtoMessage{MessageId: "m-1", Body: "text"})
	if err != nil {
		t.Fatal(err)
	}
	if reply.GetMessageId() != "r-1" || reply.GetCorrelationId() != "m-1" || reply.GetBody() != "re: text" {
		t.Errorf("reply = %v", reply)
	}
	if _, err := s.sync(within(t), &gateway.ProtoMessage{MessageId: "none"}); status.Code(err) != codes.Internal {
		t.Errorf("no reply: %v, want INTERNAL", err)
	}
}

func TestTheCallIsHandedOn(t *testing.T) {
	t.Parallel()
	var got *flow.Call
	s := start(t, grpcsrv.Config{}, grpcsrv.Options{Async: func(_ context.Context, m *flow.Message) (*flow.Message, error) {
		got = m.Call
		return nil, nil
	}})
	ctx := metadata.AppendToOutgoingContext(within(t), "X-Synapse-Override-Destination-Queue", "other", "x-a", "1", "x-a", "2")
	if _, err := s.async(ctx, &gateway.ProtoMessage{}, grpc.CallAuthority("orders.example:80")); err != nil {
		t.Fatal(err)
	}
	if got.Authority != "orders.example:80" || got.Value("x-synapse-override-destination-queue") != "other" {
		t.Errorf("call = %+v", got)
	}
	if diff := cmp.Diff([]string{"1", "2"}, got.Metadata["x-a"]); diff != "" {
		t.Errorf("metadata (-want +got):\n%s", diff)
	}
}

var errBroken = errors.New("a detail that is nobody's business")

func TestErrorsBecomeStatuses(t *testing.T) {
	t.Parallel()
	refused := status.Error(codes.PermissionDenied, "no")
	for _, tt := range []struct {
		name string
		err  error
		code codes.Code
		want flow.Code
	}{
		{"internal", flow.Errorf(flow.Internal, "x: %w", errBroken), codes.Internal, 600},
		{"an error without a code", errBroken, codes.Internal, 600},
		{"route not found", flow.Errorf(flow.RouteNotFound, "no route"), codes.NotFound, 601},
		{"destination failed", flow.Errorf(flow.DestinationFailed, "down"), codes.Unavailable, 602},
		{"destination timed out", flow.Errorf(flow.DestinationFailed, "slow: %w", context.DeadlineExceeded), codes.DeadlineExceeded, 602},
		{"destination's own code", flow.Errorf(flow.DestinationFailed, "refused: %w", refused), codes.PermissionDenied, 602},
		{"broker failed", flow.Errorf(flow.BrokerFailed, "not confirmed"), codes.Unavailable, 603},
		{"broker failed for good", flow.Errorf(flow.BrokerFailed, "no such manager").WithClass(flow.Permanent), codes.Unavailable, 603},
		{"validation failed", flow.Errorf(flow.ValidationFailed, "no amount"), codes.Aborted, 604},
		{"validator failed on a request", flow.Errorf(flow.ValidatorFailed, "down"), codes.Unavailable, 605},
		{"validator failed on a reply", flow.Errorf(flow.ValidatorFailed, "down").WithClass(flow.Permanent), codes.Internal, 605},
		{"bad message", flow.Errorf(flow.BadMessage, "too large"), codes.InvalidArgument, 606},
		{"overloaded", flow.Errorf(flow.Overloaded, "200 in work"), codes.ResourceExhausted, 607},
		{"stopping", flow.Errorf(flow.Overloaded, "stopping").WithClass(flow.Stopping), codes.Unavailable, 607},
		{"no reply", flow.Errorf(flow.ReplyTimeout, "after 30s"), codes.DeadlineExceeded, 608},
		{"the end of the time", fmt.Errorf("waiting: %w", context.DeadlineExceeded), codes.DeadlineExceeded, 608},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			fail := func(context.Context, *flow.Message) (*flow.Message, error) { return nil, tt.err }
			s := start(t, grpcsrv.Config{}, grpcsrv.Options{Async: fail, Sync: fail})
			_, err := s.async(within(t), &gateway.ProtoMessage{})
			got := status.Convert(err)
			if got.Code() != tt.code {
				t.Errorf("status = %s, want %s", got.Code(), tt.code)
			}
			want := []any{&errdetails.ErrorInfo{
				Reason: tt.want.Name(), Domain: "mq-gateway", Metadata: map[string]string{"code": fmt.Sprint(int(tt.want))},
			}}
			if diff := cmp.Diff(want, got.Details(), protocmp.Transform()); diff != "" {
				t.Errorf("details (-want +got):\n%s", diff)
			}
			if hidden := tt.want == flow.Internal; hidden == strings.Contains(got.Message(), tt.err.Error()) {
				t.Errorf("message = %q, hidden: %t", got.Message(), hidden)
			}
			_, err = s.sync(within(t), &gateway.ProtoMessage{})
			if status.Code(err) != tt.code {
				t.Errorf("status of the sync channel = %s, want %s", status.Code(err), tt.code)
			}
		})
	}
}

func TestWhatCannotBeDecodedIsBad(t *testing.T) {
	t.Parallel()
	s := start(t, grpcsrv.Config{}, grpcsrv.Options{Async: func(context.Context, *flow.Message) (*flow.Message, error) {
		t.Error("the handler was called")
		return nil, nil
	}})
	_, err := s.async(within(t), &gateway.ProtoMessage{MessageId: strings.Repeat("x", 256)})
	if status.Code(err) != codes.InvalidArgument || !strings.Contains(err.Error(), "messageId") {
		t.Errorf("error = %v, want INVALID_ARGUMENT naming the field", err)
	}
}

func TestAPanicCostsOneCall(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	s := start(t, grpcsrv.Config{}, grpcsrv.Options{
		Log: slog.New(slog.NewTextHandler(&log, nil)),
		Async: func(_ context.Context, m *flow.Message) (*flow.Message, error) {
			if m.ID == "bad" {
				panic("a secret")
			}
			return nil, nil
		},
	})
	_, err := s.async(within(t), &gateway.ProtoMessage{MessageId: "bad"})
	if status.Code(err) != codes.Internal || strings.Contains(err.Error(), "secret") {
		t.Errorf("error = %v, want INTERNAL without the cause", err)
	}
	if _, err := s.async(within(t), &gateway.ProtoMessage{MessageId: "good"}); err != nil {
		t.Errorf("the next call: %v", err)
	}
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	if text := log.String(); !strings.Contains(text, "a secret") || !strings.Contains(text, "channel_test.go") {
		t.Errorf("log = %s, want the cause and the stack", text)
	}
}

func TestACallerThatIsGone(t *testing.T) {
	t.Parallel()
	begun, ended := make(chan struct{}), make(chan error, 1)
	handle := func(ctx context.Context, _ *flow.Message) (*flow.Message, error) {
		begun <- struct{}{}
		<-ctx.Done()
		ended <- ctx.Err()
		return nil, ctx.Err()
	}
	s := start(t, grpcsrv.Config{}, grpcsrv.Options{Async: handle, Sync: handle})
	for name, call := range map[string]func(context.Context) error{
		"async": func(ctx context.Context) error { _, err := s.async(ctx, &gateway.ProtoMessage{}); return err },
		"sync":  func(ctx context.Context) error { _, err := s.sync(ctx, &gateway.ProtoMessage{}); return err },
	} {
		ctx, cancel := context.WithCancel(within(t))
		go func() {
			<-begun
			cancel()
		}()
		if err := call(ctx); status.Code(err) != codes.Canceled {
			t.Errorf("%s: error = %v, want CANCELLED", name, err)
		}
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("%s: the handler's context ended by %v", name, err)
		}
	}
}

func TestAChannelThatIsNotServed(t *testing.T) {
	t.Parallel()
	s := start(t, grpcsrv.Config{}, grpcsrv.Options{Async: done})
	_, err := s.sync(within(t), &gateway.ProtoMessage{})
	if status.Code(err) != codes.Unimplemented || !strings.Contains(err.Error(), "mq.workMode") || !strings.Contains(err.Error(), "MessageSyncChannel/processMessage") {
		t.Errorf("sync: %v, want UNIMPLEMENTED naming mq.workMode", err)
	}
	if err := s.conn.Invoke(within(t), "/other.Service/method", &gateway.ProtoMessage{}, &gateway.Heartbeat{}); status.Code(err) != codes.Unimplemented || strings.Contains(err.Error(), "mq.workMode") {
		t.Errorf("another service: %v, want UNIMPLEMENTED", err)
	}
	other := start(t, grpcsrv.Config{}, grpcsrv.Options{Sync: done})
	if _, err := other.async(within(t), &gateway.ProtoMessage{}); status.Code(err) != codes.Unimplemented || !strings.Contains(err.Error(), "mq.workMode") {
		t.Errorf("async: %v, want UNIMPLEMENTED naming mq.workMode", err)
	}
}

func TestSizesAreBounded(t *testing.T) {
	t.Parallel()
	s := start(t, grpcsrv.Config{MaxMessageSize: 1000}, grpcsrv.Options{
		Async: done,
		Sync: func(context.Context, *flow.Message) (*flow.Message, error) {
			return &flow.Message{ID: "r-1", Body: make([]byte, 2000)}, nil
		},
	})
	if _, err := s.async(within(t), &gateway.ProtoMessage{Body: strings.Repeat("x", 900)}); err != nil {
		t.Errorf("a message within the limit: %v", err)
	}
	if _, err := s.async(within(t), &gateway.ProtoMessage{Body: strings.Repeat("x", 1001)}); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("a message over the limit: %v, want RESOURCE_EXHAUSTED", err)
	}
	_, err := s.sync(within(t), &gateway.ProtoMessage{})
	code, _ := mapping.CodeOfStatus(status.Convert(err))
	if code != flow.BadMessage || !strings.Contains(err.Error(), `reply "r-1": 2`) || !strings.Contains(err.Error(), "of 1000 (grpc.server.maxMessageSizeInMb)") {
		t.Errorf("a reply over the limit: %v, want 606 naming the key", err)
	}
}

// trailers notes the size of the trailers of a call.
type trailers struct{ size int }

func (*trailers) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context   { return ctx }
func (*trailers) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }
func (*trailers) HandleConn(context.Context, stats.ConnStats)                       {}
func (h *trailers) HandleRPC(_ context.Context, s stats.RPCStats) {
	switch in := s.(type) {
	case *stats.InTrailer:
		h.size = 0
		for name, values := range in.Trailer {
			h.size += len(name) + len(values[0])*4/3
		}
	}
}

// TestStatusesStaySmall holds that a long error passes through HTTP/2 stacks that
// take 8 KiB of headers.
func TestStatusesStaySmall(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("Ж%", 10_000)
	var seen trailers
	s := start(t, grpcsrv.Config{}, grpcsrv.Options{Async: func(context.Context, *flow.Message) (*flow.Message, error) {
		return nil, flow.Errorf(flow.BadMessage, "x%s\xFF", long)
	}}, grpc.WithStatsHandler(&seen))
	_, err := s.async(within(t), &gateway.ProtoMessage{})
	message := status.Convert(err).Message()
	if !strings.HasPrefix(message, "xЖ%") || !strings.HasSuffix(message, "…") || strings.ContainsRune(message, '\uFFFD') {
		t.Errorf("message = %q", message)
	}
	onTheWire := 3*len(message) + seen.size
	if len(status.Convert(err).Details()) != 1 || seen.size == 0 || onTheWire > 4096 {
		t.Errorf("status of %d bytes with %d details, want one and at most 4096", onTheWire, len(status.Convert(err).Details()))
	}
}
