package grpcsrv_test

import (
	"context"
	"fmt"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"mqgateway/api/proto/gateway"
	"mqgateway/internal/flow"
	"mqgateway/internal/grpcsrv"
	"mqgateway/internal/mapping"
)

func ExampleServer() {
	server, err := grpcsrv.Open(grpcsrv.Config{Reflection: true}, grpcsrv.Options{
		Host:   "127.0.0.1",
		Decode: mapping.NewOutbound(mapping.OutboundOptions{SendQueue: "orders.out"}).FromProto,
		Async: func(_ context.Context, m *flow.Message) (*flow.Message, error) {
			fmt.Printf("%s for %s\n", m.Body, m.To)
			return nil, nil
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	conn, err := grpc.NewClient(server.Addr(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	ended := make(chan error)
	go func() { ended <- server.Run(ctx) }()

	heartbeat, err := gateway.NewMessageAsyncChannelClient(conn).ProcessMessage(ctx, &gateway.ProtoMessage{MessageId: "m-1", Body: "hello"})
	fmt.Println(heartbeat.GetMessageId(), err)
	_ = conn.Close() // The example is over.

	stop()
	fmt.Println(<-ended)
	// Output:
	// hello for orders.out
	// m-1 <nil>
	// <nil>
}
