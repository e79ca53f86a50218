package grpcclient

import (
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"

	"mqgateway/internal/flow"
	"mqgateway/internal/mapping"
)

// roomForHeaders is what most messages need beside their body.
const roomForHeaders = 1 << 10

// request encodes the ProtoMessage of a message, within the limit: one over it is
// never sent. The buffer has to be freed.
func (s *settings) request(m *flow.Message) (mem.Buffer, error) {
	pool := mem.DefaultBufferPool()
	space := pool.Get(len(m.Body) + roomForHeaders)
	encoded, err := mapping.AppendProto((*space)[:0], m)
	if err != nil {
		pool.Put(space)
		return nil, err
	}
	*space = encoded
	request := mem.NewBuffer(space, pool)
	if size := int64(len(encoded)); size > s.config.MaxMessageSize {
		request.Free()
		return nil, flow.Errorf(flow.BadMessage, "request of %d bytes is over the limit of %d (%s)", size, s.config.MaxMessageSize, s.sizeKey)
	}
	return request, nil
}

// codec sends encoded requests as they are, and decodes answers as the codec below
// does, but for those that are too large.
type codec struct{ encoding.CodecV2 }

// protobuf is the codec of all calls.
var protobuf = codec{encoding.GetCodecV2(proto.Name)}

// Marshal implements encoding.CodecV2. The caller frees its own reference to the
// buffer.
func (c codec) Marshal(v any) (mem.BufferSlice, error) {
	encoded, ok := v.(mem.Buffer)
	if !ok {
		return c.CodecV2.Marshal(v)
	}
	encoded.Ref()
	return mem.BufferSlice{encoded}, nil
}

// Unmarshal implements encoding.CodecV2.
func (c codec) Unmarshal(data mem.BufferSlice, v any) error {
	a, ok := v.(*answer)
	if !ok {
		return c.CodecV2.Unmarshal(data, v)
	}
	if size := int64(data.Len()); size > a.limit {
		a.excess = size
		return nil
	}
	return c.CodecV2.Unmarshal(data, &a.message)
}

// Name keeps the content type at application/grpc, as other clients have it,
// which means the same as application/grpc+proto.
func (codec) Name() string { return "" }
