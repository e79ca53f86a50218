package grpcsrv

import (
	"context"
	"time"

	"google.golang.org/grpc/codes"
	healthgrpc "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"mqgateway/api/proto/gateway"
)

// watchPeriod is how soon watchers learn of a change.
const watchPeriod = time.Second

// health is grpc.health.v1. It asks for readiness when it is asked, and ends its
// watchers when the server stops, so that they do not hold it up.
type health struct {
	healthgrpc.UnimplementedHealthServer
	server *Server
}

// Check tells the health of the gateway ("") or of a channel that is served.
func (h *health) Check(_ context.Context, in *healthgrpc.HealthCheckRequest) (*healthgrpc.HealthCheckResponse, error) {
	if !h.knows(in.GetService()) {
		return nil, status.Errorf(codes.NotFound, "service %.255q is not known", in.GetService())
	}
	return &healthgrpc.HealthCheckResponse{Status: h.state(in.GetService())}, nil
}

// List tells the health of everything that is served.
func (h *health) List(context.Context, *healthgrpc.HealthListRequest) (*healthgrpc.HealthListResponse, error) {
	statuses := map[string]*healthgrpc.HealthCheckResponse{}
	for _, name := range []string{"", gateway.MessageAsyncChannel_ServiceDesc.ServiceName, gateway.MessageSyncChannel_ServiceDesc.ServiceName} {
		if h.knows(name) {
			statuses[name] = &healthgrpc.HealthCheckResponse{Status: h.state(name)}
		}
	}
	return &healthgrpc.HealthListResponse{Statuses: statuses}, nil
}

// Watch sends the health at first and at each change.
func (h *health) Watch(in *healthgrpc.HealthCheckRequest, stream healthgrpc.Health_WatchServer) error {
	ticker := time.NewTicker(watchPeriod)
	defer ticker.Stop()
	last := healthgrpc.HealthCheckResponse_UNKNOWN
	for {
		stopping := h.server.isStopping()
		if state := h.state(in.GetService()); state != last {
			if err := stream.Send(&healthgrpc.HealthCheckResponse{Status: state}); err != nil {
				return err
			}
			last = state
		}
		if stopping {
			return status.Error(codes.Unavailable, "gateway is stopping")
		}
		select {
		case <-stream.Context().Done():
			return status.FromContextError(stream.Context().Err()).Err()
		case <-h.server.stopping:
		case <-ticker.C:
		}
	}
}

func (h *health) state(service string) healthgrpc.HealthCheckResponse_ServingStatus {
	switch {
	case !h.knows(service):
		return healthgrpc.HealthCheckResponse_SERVICE_UNKNOWN
	case h.server.isStopping() || !h.server.options.Ready():
		return healthgrpc.HealthCheckResponse_NOT_SERVING
	default:
		return healthgrpc.HealthCheckResponse_SERVING
	}
}

func (h *health) knows(service string) bool {
	switch service {
	case "":
		return true
	case gateway.MessageAsyncChannel_ServiceDesc.ServiceName:
		return h.server.options.Async != nil
	case gateway.MessageSyncChannel_ServiceDesc.ServiceName:
		return h.server.options.Sync != nil
	default:
		return false
	}
}
