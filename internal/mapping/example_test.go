package mapping_test

import (
	"context"
	"fmt"
	"time"

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

func ExampleOutbound_Answer() {
	outbound := mapping.NewOutbound(mapping.OutboundOptions{Role: flow.Consumer, Managers: []string{"qm1"}})
	request := &flow.Message{ID: "m-1", ReplyTo: "replies", Source: flow.Source{Queue: "orders.in", Manager: "qm1"}}
	m, err := outbound.Answer(request, &gateway.ProtoMessage{MessageId: "a-1", Body: "done"}, nil)
	fmt.Println(m.ID, m.CorrelID, m.To, m.To.Manager, err)
	// Output: a-1 m-1 replies qm1 <nil>
}

func ExampleOutbound_Answerable() {
	outbound := mapping.NewOutbound(mapping.OutboundOptions{Role: flow.Consumer})
	handler := outbound.Answerable(func(context.Context, *flow.Message) (*flow.Message, error) {
		fmt.Println("the service is called")
		return nil, nil
	})
	_, err := handler(context.Background(), &flow.Message{ID: "m-1"})
	fmt.Println(err)
	// Output: request has no ReplyToQ for its answer, and mq.connection.sendQueue is not set
}

func ExampleOutbound_Request() {
	outbound := mapping.NewOutbound(mapping.OutboundOptions{
		Role: flow.Provider, SendQueue: "orders.out", Tag: "gw1", MaxProcessingTime: time.Minute,
		NewID: func() string { return "0197" },
	})
	m, err := outbound.Request(&gateway.ProtoMessage{MessageId: "m-1", Body: "hello"}, nil)
	fmt.Println(m.ID, m.CorrelID, m.Expiry, err)
	// Output: m-1 gw1.0197 1m0s <nil>
}
