package grpcsrv_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"mqgateway/api/proto/gateway"
	"mqgateway/internal/flow"
	"mqgateway/internal/grpcsrv"
	"mqgateway/internal/mapping"
)

func TestRequestsAreDecodedInTheirOwnWay(t *testing.T) {
	t.Parallel()
	outbound := mapping.NewOutbound(mapping.OutboundOptions{
		Role: flow.Provider, SendQueue: "out", Tag: "gw1", NewID: func() string { return "made" },
	})
	echo := func(_ context.Context, m *flow.Message) (*flow.Message, error) {
		return &flow.Message{CorrelID: m.ID, Body: fmt.Append(nil, m.Expiry, " ", m.Call != nil)}, nil
	}
	s := start(t, grpcsrv.Config{}, grpcsrv.Options{Async: echo, Sync: echo, Decode: outbound.FromProto, DecodeSync: outbound.Request})
	reply, err := s.sync(within(t), &gateway.ProtoMessage{})
	if err != nil || reply.GetCorrelationId() != "gw1.made" || reply.GetBody() != "30s true" {
		t.Errorf("reply = %v, %v", reply, err)
	}
	heartbeat, err := s.async(within(t), &gateway.ProtoMessage{})
	if err != nil || heartbeat.GetMessageId() != "made" {
		t.Errorf("heartbeat = %v, %v", heartbeat, err)
	}
	_, err = s.sync(within(t), &gateway.ProtoMessage{CorrelationId: strings.Repeat("x", 256)})
	if status.Code(err) != codes.InvalidArgument || !strings.Contains(err.Error(), "correlationId") {
		t.Errorf("error = %v, want INVALID_ARGUMENT naming the field", err)
	}
}

func TestAReplyWithoutABody(t *testing.T) {
	t.Parallel()
	s := start(t, grpcsrv.Config{}, grpcsrv.Options{Sync: func(_ context.Context, m *flow.Message) (*flow.Message, error) {
		return &flow.Message{ID: "r-1", CorrelID: m.ID}, nil
	}})
	reply, err := s.sync(within(t), &gateway.ProtoMessage{MessageId: "m-1"})
	if err != nil || reply.GetMessageId() != "r-1" || reply.GetCorrelationId() != "m-1" || reply.GetBody() != "" {
		t.Errorf("reply = %v, %v", reply, err)
	}
}

func TestAReplyThatCannotBeMapped(t *testing.T) {
	t.Parallel()
	s := start(t, grpcsrv.Config{}, grpcsrv.Options{Sync: func(context.Context, *flow.Message) (*flow.Message, error) {
		return &flow.Message{ID: "r-1", Body: []byte("\xFF")}, nil
	}})
	_, err := s.sync(within(t), &gateway.ProtoMessage{})
	code, _ := mapping.CodeOfStatus(status.Convert(err))
	if code != flow.BadMessage || !strings.Contains(err.Error(), `reply "r-1": body is not UTF-8`) {
		t.Errorf("error = %v, want 606 naming the reply", err)
	}
}

// TestTheTimeOfTheCaller holds what the server answers when the caller's deadline
// passes; grpc-go's own client would not wait to hear it.
func TestTheTimeOfTheCaller(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		// failure is what a handler makes of the end of its context.
		failure func(error) error
		code    codes.Code
		want    flow.Code
	}{
		{"while the reply is waited for", func(err error) error { return flow.Errorf(flow.ReplyTimeout, "waiting for the reply: %w", err) }, codes.DeadlineExceeded, flow.ReplyTimeout},
		{"by the context alone", func(err error) error { return fmt.Errorf("waiting: %w", err) }, codes.DeadlineExceeded, flow.ReplyTimeout},
		{"before the request was sent", func(err error) error { return flow.Errorf(flow.BrokerFailed, "no manager: %w", err) }, codes.Unavailable, flow.BrokerFailed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := start(t, grpcsrv.Config{}, grpcsrv.Options{Sync: func(ctx context.Context, _ *flow.Message) (*flow.Message, error) {
				<-ctx.Done()
				return nil, tt.failure(ctx.Err())
			}})
			trailer := rawSync(t, s.Addr(), "300m")
			if got := trailer.Get("Grpc-Status"); got != fmt.Sprint(int(tt.code)) {
				t.Errorf("status = %s, want %d: %v", got, tt.code, trailer)
			}
			if message := trailer.Get("Grpc-Message"); !strings.Contains(message, "deadline exceeded") {
				t.Errorf("message = %q", message)
			}
			if code := codeIn(t, trailer.Get("Grpc-Status-Details-Bin")); code != tt.want {
				t.Errorf("code = %d, want %d", code, tt.want)
			}
		})
	}
}

// rawSync is a call of MessageSyncChannel by plain HTTP/2, whose client leaves the
// deadline to the server. It returns where the status is. The server resets a
// stream at its deadline, which a slow machine may reach first: such calls are
// made again.
func rawSync(t *testing.T, address, timeout string) http.Header {
	t.Helper()
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetUnencryptedHTTP2(true)
	t.Cleanup(transport.CloseIdleConnections)
	encoded, err := proto.Marshal(&gateway.ProtoMessage{MessageId: "m-1"})
	if err != nil {
		t.Fatal(err)
	}
	// A message is its length behind a byte that tells of compression.
	frame := append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(encoded))), encoded...)
	ctx := within(t)
	for {
		status, err := post(ctx, transport, "http://"+address+gateway.MessageSyncChannel_ProcessMessage_FullMethodName, timeout, frame)
		if err == nil {
			return status
		}
		if ctx.Err() != nil {
			t.Fatalf("no status was heard: %v", err)
		}
	}
}

// post sends a frame and returns the headers that have the status.
func post(ctx context.Context, transport *http.Transport, url, timeout string, frame []byte) (http.Header, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(frame))
	if err != nil {
		return nil, err
	}
	request.Header = http.Header{"Content-Type": {"application/grpc"}, "Te": {"trailers"}, "Grpc-Timeout": {timeout}}
	response, err := transport.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		return nil, err
	}
	if response.Header.Get("Grpc-Status") != "" {
		return response.Header, nil // There was nothing before the trailers.
	}
	return response.Trailer, nil
}

// codeIn is the gateway's code in the details of a status as they travel.
func codeIn(t *testing.T, details string) flow.Code {
	t.Helper()
	encoded, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(details, "="))
	if err != nil {
		t.Fatal(err)
	}
	var st spb.Status
	if err := proto.Unmarshal(encoded, &st); err != nil {
		t.Fatal(err)
	}
	code, _ := mapping.CodeOfStatus(status.FromProto(&st))
	return code
}
