package gatewaytest

import (
	"context"
	"time"

	"google.golang.org/grpc"

	pb "mqgateway/api/proto/gateway"
)

// Handle does what a microservice does with a message, or with a request, whose answer
// it returns.
type Handle func(ctx context.Context, in *pb.ProtoMessage, sync bool) (answer *pb.ProtoMessage, err error)

// Register serves both channels of a microservice.
func Register(server grpc.ServiceRegistrar, h Handle) {
	pb.RegisterMessageAsyncChannelServer(server, asyncChannel{handle: h})
	pb.RegisterMessageSyncChannelServer(server, syncChannel{handle: h})
}

// asyncChannel takes messages.
type asyncChannel struct {
	pb.UnimplementedMessageAsyncChannelServer
	handle Handle
}

// ProcessMessage implements the asynchronous channel.
func (c asyncChannel) ProcessMessage(ctx context.Context, in *pb.ProtoMessage) (*pb.Heartbeat, error) {
	if _, err := c.handle(ctx, in, false); err != nil {
		return nil, err
	}
	return &pb.Heartbeat{Timestamp: time.Now().UnixMilli(), MessageId: in.GetMessageId()}, nil
}

// syncChannel answers requests.
type syncChannel struct {
	pb.UnimplementedMessageSyncChannelServer
	handle Handle
}

// ProcessMessage implements the synchronous channel.
func (c syncChannel) ProcessMessage(ctx context.Context, in *pb.ProtoMessage) (*pb.ProtoMessage, error) {
	return c.handle(ctx, in, true)
}
