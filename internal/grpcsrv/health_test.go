package grpcsrv_test

import (
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	healthgrpc "google.golang.org/grpc/health/grpc_health_v1"
	reflectiongrpc "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"

	"mqgateway/internal/grpcsrv"
)

const (
	serving    = healthgrpc.HealthCheckResponse_SERVING
	notServing = healthgrpc.HealthCheckResponse_NOT_SERVING
	unknown    = healthgrpc.HealthCheckResponse_SERVICE_UNKNOWN

	asyncName = "com.sbt.synapse.gateway.MessageAsyncChannel"
	syncName  = "com.sbt.synapse.gateway.MessageSyncChannel"
)

func TestHealthFollowsReadiness(t *testing.T) {
	t.Parallel()
	var ready atomic.Bool
	s := start(t, grpcsrv.Config{}, grpcsrv.Options{Async: done, Ready: ready.Load})
	client := healthgrpc.NewHealthClient(s.conn)
	check := func(service string) healthgrpc.HealthCheckResponse_ServingStatus {
		t.Helper()
		answer, err := client.Check(within(t), &healthgrpc.HealthCheckRequest{Service: service})
		if err != nil {
			t.Fatal(err)
		}
		return answer.GetStatus()
	}
	for _, want := range []bool{false, true, false} {
		ready.Store(want)
		for _, service := range []string{"", asyncName} {
			if got := check(service); (got == serving) != want {
				t.Errorf("health of %q = %s, ready: %t", service, got, want)
			}
		}
	}
	if _, err := client.Check(within(t), &healthgrpc.HealthCheckRequest{Service: syncName}); status.Code(err) != codes.NotFound {
		t.Errorf("health of a channel that is not served: %v, want NOT_FOUND", err)
	}
	list, err := client.List(within(t), &healthgrpc.HealthListRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if got := list.GetStatuses(); len(got) != 2 || got[""].GetStatus() != notServing || got[asyncName].GetStatus() != notServing {
		t.Errorf("list = %v", got)
	}
}

func TestWatchersLearnOfChanges(t *testing.T) {
	t.Parallel()
	var ready atomic.Bool
	s := start(t, grpcsrv.Config{}, grpcsrv.Options{Async: done, Ready: ready.Load, Grace: time.Hour})
	client := healthgrpc.NewHealthClient(s.conn)
	stream, err := client.Watch(within(t), &healthgrpc.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	next := func(want healthgrpc.HealthCheckResponse_ServingStatus) {
		t.Helper()
		got, err := stream.Recv()
		if err != nil || got.GetStatus() != want {
			t.Fatalf("health = %s, %v, want %s", got.GetStatus(), err, want)
		}
	}
	next(notServing)
	ready.Store(true)
	next(serving)
	other, err := client.Watch(within(t), &healthgrpc.HealthCheckRequest{Service: "unheard.of"})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := other.Recv(); err != nil || got.GetStatus() != unknown {
		t.Errorf("health of an unknown service = %s, %v", got.GetStatus(), err)
	}
	// Watchers do not hold up the stop: its grace is longer than the test's patience.
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	next(notServing)
	if _, err := stream.Recv(); status.Code(err) != codes.Unavailable {
		t.Errorf("the end of watching: %v, want UNAVAILABLE", err)
	}
}

func TestReflectionListsTheServices(t *testing.T) {
	t.Parallel()
	s := start(t, grpcsrv.Config{Reflection: true}, grpcsrv.Options{Async: done})
	stream, err := reflectiongrpc.NewServerReflectionClient(s.conn).ServerReflectionInfo(within(t))
	if err != nil {
		t.Fatal(err)
	}
	ask := func(request *reflectiongrpc.ServerReflectionRequest) *reflectiongrpc.ServerReflectionResponse {
		t.Helper()
		if err := stream.Send(request); err != nil {
			t.Fatal(err)
		}
		answer, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		return answer
	}
	list := ask(&reflectiongrpc.ServerReflectionRequest{MessageRequest: &reflectiongrpc.ServerReflectionRequest_ListServices{}})
	var names []string
	for _, service := range list.GetListServicesResponse().GetService() {
		names = append(names, service.GetName())
	}
	if !slices.Contains(names, asyncName) || !slices.Contains(names, "grpc.health.v1.Health") || slices.Contains(names, syncName) {
		t.Errorf("services = %s", strings.Join(names, ", "))
	}
	file := ask(&reflectiongrpc.ServerReflectionRequest{
		MessageRequest: &reflectiongrpc.ServerReflectionRequest_FileContainingSymbol{FileContainingSymbol: asyncName},
	})
	if len(file.GetFileDescriptorResponse().GetFileDescriptorProto()) == 0 {
		t.Errorf("no descriptor: %v", file.GetErrorResponse())
	}
	if err := stream.CloseSend(); err != nil {
		t.Error(err)
	}
}

func TestReflectionCanBeOff(t *testing.T) {
	t.Parallel()
	s := start(t, grpcsrv.Config{}, grpcsrv.Options{Async: done})
	stream, err := reflectiongrpc.NewServerReflectionClient(s.conn).ServerReflectionInfo(within(t))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); status.Code(err) != codes.Unimplemented {
		t.Errorf("error = %v, want UNIMPLEMENTED", err)
	}
}
