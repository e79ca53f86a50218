package grpcsrv

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"

	"mqgateway/api/proto/gateway"
)

// encoded is an answer as it travels. The codec takes it over.
type encoded struct{ mem.Buffer }

// codec sends encoded answers as they are, and is the one below for everything else.
type codec struct{ encoding.CodecV2 }

// protobuf is the codec of all calls.
var protobuf = codec{encoding.GetCodecV2(proto.Name)}

// Marshal implements encoding.CodecV2.
func (c codec) Marshal(v any) (mem.BufferSlice, error) {
	if answer, ok := v.(encoded); ok {
		return mem.BufferSlice{answer.Buffer}, nil
	}
	return c.CodecV2.Marshal(v)
}

// syncService describes MessageSyncChannel as generated code does, but for answers
// that are encoded already.
var syncService = func() grpc.ServiceDesc {
	service := gateway.MessageSyncChannel_ServiceDesc
	service.HandlerType = (*any)(nil)
	service.Methods = []grpc.MethodDesc{{
		MethodName: service.Methods[0].MethodName,
		Handler: func(server any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
			p := new(gateway.ProtoMessage)
			if err := decode(p); err != nil {
				return nil, err
			}
			return server.(syncChannel).processMessage(ctx, p)
		},
	}}
	return service
}()
