package grpcclient_test

import (
	"context"
	"fmt"
	"net"

	"google.golang.org/grpc"

	"mqgateway/api/proto/gateway"
	"mqgateway/internal/flow"
	"mqgateway/internal/grpcclient"
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
	}}, grpcclient.Options{})
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
