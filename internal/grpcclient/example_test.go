package grpcclient_test

import (
	"context"
	"fmt"
	"net"

	"google.golang.org/grpc"

	"mqgateway/api/proto/gateway"
	"mqgateway/internal/flow"
	"mqgateway/internal/grpcclient"
	"mqgateway/internal/mapping"
)

// printer is a microservice.
type printer struct {
	gateway.UnimplementedMessageAsyncChannelServer
}

func (printer) ProcessMessage(_ context.Context, p *gateway.ProtoMessage) (*gateway.Heartbeat, error) {
	fmt.Println(p.GetMessageId(), p.GetBody())
	return &gateway.Heartbeat{MessageId: p.GetMessageId()}, nil
}

func ExampleCaller() {
	listener, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		fmt.Println(err)
		return
	}
	server := grpc.NewServer(grpc.WaitForHandlers(true))
	gateway.RegisterMessageAsyncChannelServer(server, printer{})
	go func() { _ = server.Serve(listener) }()
	defer server.Stop()

	caller, err := grpcclient.Open(grpcclient.Config{Settings: map[string]grpcclient.SettingsConfig{
		"default": {Hostname: "127.0.0.1", Port: listener.Addr().(*net.TCPAddr).Port},
	}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer caller.Close()
	_, err = caller.Async(context.Background(), &flow.Message{
		ID: "m-1", Body: []byte("hello"), Route: flow.Route{Destination: "orders-service"},
	})
	fmt.Println(err)
	// Output:
	// m-1 hello
	// <nil>
}

// adder is a microservice that answers.
type adder struct {
	gateway.UnimplementedMessageSyncChannelServer
}

func (adder) ProcessMessage(_ context.Context, p *gateway.ProtoMessage) (*gateway.ProtoMessage, error) {
	return &gateway.ProtoMessage{MessageId: "a-1", Body: p.GetBody() + " = 2"}, nil
}

func ExampleCaller_Sync() {
	listener, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		fmt.Println(err)
		return
	}
	server := grpc.NewServer(grpc.WaitForHandlers(true))
	gateway.RegisterMessageSyncChannelServer(server, adder{})
	go func() { _ = server.Serve(listener) }()
	defer server.Stop()

	caller, err := grpcclient.Open(grpcclient.Config{Settings: map[string]grpcclient.SettingsConfig{
		"default": {Hostname: "127.0.0.1", Port: listener.Addr().(*net.TCPAddr).Port},
	}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer caller.Close()
	answer := mapping.NewOutbound(mapping.OutboundOptions{Role: flow.Consumer, SendQueue: "sums"}).Answer
	reply, err := caller.Sync(answer)(context.Background(), &flow.Message{
		ID: "m-1", Body: []byte("1 + 1"), Route: flow.Route{Destination: "calculator"},
	})
	fmt.Printf("%s for %s to %s, %v\n", reply.Body, reply.CorrelID, reply.To, err)
	// Output: 1 + 1 = 2 for m-1 to sums, <nil>
}
