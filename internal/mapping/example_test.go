package mapping_test

import (
	"context"
	"fmt"

	"mqgateway/api/proto/gateway"
	"mqgateway/internal/flow"
	"mqgateway/internal/mapping"
)

func ExampleToProto() {
	m := &flow.Message{
		ID:   "m-1",
		Body: []byte("<?xml version='1.0' encoding='windows-1251'?><a>\xC4\xE0</a>"),
	}
	handler := mapping.Text{}.Middleware(func(_ context.Context, m *flow.Message) (*flow.Message, error) {
		p, err := mapping.ToProto(m)
		fmt.Println(p.GetMessageId(), p.GetBody())
		return nil, err
	})
	if _, err := handler(context.Background(), m); err != nil {
		fmt.Println(err)
	}
	// Output: m-1 <?xml version='1.0' encoding='UTF-8'?><a>Да</a>
}

func ExampleOutbound_FromProto() {
	outbound := mapping.NewOutbound(mapping.OutboundOptions{Role: flow.Provider, SendQueue: "orders.out"})
	m, err := outbound.FromProto(&gateway.ProtoMessage{
		MessageId:     "m-1",
		Body:          `{"amount": 5}`,
		SystemHeaders: map[string]string{"JMSPriority": "7"},
	}, nil)
	fmt.Println(m.ID, m.To, m.Priority, m.ContentType, err)
	// Output: m-1 orders.out 7 application/json; charset=utf-8 <nil>
}
