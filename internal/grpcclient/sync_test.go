package grpcclient_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/testing/protocmp"

	"mqgateway/api/proto/gateway"
	"mqgateway/internal/flow"
	"mqgateway/internal/grpcclient"
	"mqgateway/internal/mapping"
)

// answering makes replies of answers.
func answering() grpcclient.Answer {
	return mapping.NewOutbound(mapping.OutboundOptions{
		Role: flow.Consumer, SendQueue: "replies", CustomDestination: true, Managers: []string{"qm1"},
	}).Answer
}

func TestTheAnswerIsTheReply(t *testing.T) {
	t.Parallel()
	var got *gateway.ProtoMessage
	s := serveSync(t, func(_ context.Context, p *gateway.ProtoMessage) (*gateway.ProtoMessage, error) {
		got = p
		return &gateway.ProtoMessage{MessageId: "a-1", Body: "done"}, nil
	})
	m := to("orders")
	reply, err := open(t, mesh(s.port)).Sync(answering())(within(t), m)
	if err != nil {
		t.Fatal(err)
	}
	if reply.ID != "a-1" || reply.CorrelID != "m-1" || string(reply.Body) != "done" || reply.To.Key != "replies" {
		t.Errorf("reply = %+v", reply)
	}
	want, err := mapping.ToProto(m)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
		t.Errorf("request (-want +got):\n%s", diff)
	}
	if m.Away <= 0 {
		t.Error("the call is no time that the message was away")
	}
}

func TestMetadataOfTheAnswer(t *testing.T) {
	t.Parallel()
	for _, where := range []string{"header", "trailer", "both"} {
		t.Run(where, func(t *testing.T) {
			t.Parallel()
			s := serveSync(t, func(ctx context.Context, _ *gateway.ProtoMessage) (*gateway.ProtoMessage, error) {
				var errs []error
				if where != "trailer" {
					errs = append(errs, grpc.SetHeader(ctx, metadata.Pairs("X-Synapse-Override-Destination-Queue", "header")))
				}
				if where != "header" {
					errs = append(errs, grpc.SetTrailer(ctx, metadata.Pairs("x-synapse-override-destination-queue", "trailer", "x-b", "1")))
				}
				return new(gateway.ProtoMessage), errors.Join(errs...)
			})
			reply, err := open(t, mesh(s.port)).Sync(answering())(within(t), to("orders"))
			if err != nil {
				t.Fatal(err)
			}
			want := map[string]string{"header": "header", "trailer": "trailer", "both": "header"}[where]
			if reply.To.Key != want || reply.Call.Authority != "orders" {
				t.Errorf("reply to %q of %q, want %q of orders", reply.To.Key, reply.Call.Authority, want)
			}
			if where == "both" && reply.Call.Value("x-b") != "1" {
				t.Errorf("metadata = %v", reply.Call.Metadata)
			}
		})
	}
}

func TestClassesOfSyncStatuses(t *testing.T) {
	t.Parallel()
	for code, want := range map[codes.Code]flow.Class{
		codes.Unknown: flow.Permanent, codes.InvalidArgument: flow.Permanent, codes.Unimplemented: flow.Permanent, codes.Internal: flow.Permanent,
		codes.Unavailable: flow.Transient, codes.DeadlineExceeded: flow.Transient, codes.Aborted: flow.Transient, codes.ResourceExhausted: flow.Transient,
	} {
		t.Run(code.String(), func(t *testing.T) {
			t.Parallel()
			s := serveSync(t, func(ctx context.Context, _ *gateway.ProtoMessage) (*gateway.ProtoMessage, error) {
				// Headers do not tell that the service has answered.
				return nil, errors.Join(grpc.SetHeader(ctx, metadata.Pairs("x-a", "1")), status.Error(code, "its own words"))
			})
			_, err := open(t, mesh(s.port)).Sync(answering())(within(t), to("orders"))
			if flow.CodeOf(err) != flow.DestinationFailed || flow.ClassOf(err) != want {
				t.Errorf("error = %d of class %d, want 602 of class %d: %v", flow.CodeOf(err), flow.ClassOf(err), want, err)
			}
		})
	}
}

func TestSyncCallsEndInTime(t *testing.T) {
	t.Parallel()
	s := serveSync(t, func(ctx context.Context, _ *gateway.ProtoMessage) (*gateway.ProtoMessage, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	})
	cfg := mesh(s.port)
	cfg.Settings["orders"] = grpcclient.SettingsConfig{Timeout: 20 * time.Millisecond}
	call := open(t, cfg).Sync(answering())
	short := to("billing")
	short.Expiry = 20 * time.Millisecond
	for name, m := range map[string]*flow.Message{"timeout": to("orders"), "expiry": short} {
		_, err := call(within(t), m)
		if codeOf(err) != codes.DeadlineExceeded || flow.ClassOf(err) != flow.Transient {
			t.Errorf("%s: %v, want DEADLINE_EXCEEDED, transient", name, err)
		}
	}
	ctx, cancel := context.WithCancel(within(t))
	time.AfterFunc(20*time.Millisecond, cancel)
	if _, err := call(ctx, to("billing")); flow.ClassOf(err) != flow.Stopping {
		t.Errorf("the source stops: class %d, want stopping: %v", flow.ClassOf(err), err)
	}
}

// TestAnswersOverTheLimit holds an answer that is too large apart from a service
// that is short of something: the one has done its work, the other has not begun.
func TestAnswersOverTheLimit(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		size  int
		code  flow.Code
		class flow.Class
		want  string
	}{
		{"within the limit", 900, 0, 0, ""},
		{"over it", 1000, flow.BadMessage, flow.Permanent, `answer of "orders": 1003 bytes are over the limit of 1000 (grpc.client.settings.orders.maxMessageSizeInMb)`},
		{"far over it", 3900, flow.BadMessage, flow.Permanent, `answer of "orders": 3903 bytes`},
		{"too far to be told from a service that is short of something", 4000, flow.DestinationFailed, flow.Transient, `calling "orders"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := serveSync(t, func(context.Context, *gateway.ProtoMessage) (*gateway.ProtoMessage, error) {
				return &gateway.ProtoMessage{Body: strings.Repeat("x", tt.size)}, nil
			})
			cfg := mesh(s.port)
			cfg.Settings["orders"] = grpcclient.SettingsConfig{MaxMessageSize: 1000}
			reply, err := open(t, cfg).Sync(answering())(within(t), to("orders"))
			if tt.code == 0 {
				if err != nil || len(reply.Body) != tt.size {
					t.Errorf("reply = %v, %v", reply, err)
				}
				return
			}
			if flow.CodeOf(err) != tt.code || flow.ClassOf(err) != tt.class || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error = %d of class %d, want %d of class %d with %q: %v", flow.CodeOf(err), flow.ClassOf(err), tt.code, tt.class, tt.want, err)
			}
		})
	}
}

// TestAnswersOfWhichNoReplyCanBeMade holds that the service is not asked again,
// whatever is wrong with its answer.
func TestAnswersOfWhichNoReplyCanBeMade(t *testing.T) {
	t.Parallel()
	s := serveSync(t, func(context.Context, *gateway.ProtoMessage) (*gateway.ProtoMessage, error) {
		return &gateway.ProtoMessage{MessageId: strings.Repeat("x", 256)}, nil
	})
	_, err := open(t, mesh(s.port)).Sync(answering())(within(t), to("orders"))
	if flow.CodeOf(err) != flow.BadMessage || flow.ClassOf(err) != flow.Permanent || !strings.Contains(err.Error(), `answer of "orders": messageId: 256 bytes`) {
		t.Errorf("error = %d %v, want 606", flow.CodeOf(err), err)
	}
	for _, cause := range []error{flow.Errorf(flow.BrokerFailed, "transient"), context.Canceled} {
		refusing := func(*flow.Message, *gateway.ProtoMessage, *flow.Call) (*flow.Message, error) { return nil, cause }
		_, err := open(t, mesh(s.port)).Sync(refusing)(within(t), to("orders"))
		if flow.ClassOf(err) != flow.Permanent || flow.CodeOf(err) != flow.CodeOf(cause) || !errors.Is(err, cause) {
			t.Errorf("error = %d of class %d, want a permanent one: %v", flow.CodeOf(err), flow.ClassOf(err), err)
		}
	}
}

func TestAServiceWithoutTheSyncChannel(t *testing.T) {
	t.Parallel()
	s := serve(t, 0, heartbeat)
	_, err := open(t, mesh(s.port)).Sync(answering())(within(t), to("orders"))
	if flow.ClassOf(err) != flow.Permanent || !strings.Contains(err.Error(), "the service does not serve this channel") {
		t.Errorf("error = %v, want a permanent one that says so", err)
	}
}

func BenchmarkSync(b *testing.B) {
	s := serveSync(b, func(_ context.Context, p *gateway.ProtoMessage) (*gateway.ProtoMessage, error) {
		return &gateway.ProtoMessage{Body: p.GetBody()}, nil
	})
	call, ctx := open(b, mesh(s.port)).Sync(answering()), b.Context()
	b.ReportAllocs()
	b.SetParallelism(32)
	b.RunParallel(func(pb *testing.PB) {
		m := typical()
		for pb.Next() {
			if _, err := call(ctx, m); err != nil {
				b.Error(err)
				return
			}
		}
	})
}
