package jetstream_test

import (
	"context"
	"fmt"
	"os"

	"mqgateway/internal/flow"
	"mqgateway/internal/mq"
	"mqgateway/internal/mq/jetstream"
)

// A message goes through the embedded broker.
func ExampleStartServer() {
	directory, err := os.MkdirTemp("", "example")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(directory)
	server, err := jetstream.StartServer(jetstream.EmbeddedConfig{Directory: directory}, 100<<10)
	if err != nil {
		panic(err)
	}
	defer server.Close()
	broker := server.Open(jetstream.Config{Manager: "embedded"})
	defer broker.Close()

	ctx := context.Background()
	subscription, err := broker.Subscribe(ctx, mq.Queue{Name: "orders.in", Prefetch: 10, Kind: mq.Quorum})
	if err != nil {
		panic(err)
	}
	if err := broker.Publish(ctx, flow.Address{Key: "orders.in"}, &flow.Message{ID: "1", Body: []byte("hello")}); err != nil {
		panic(err)
	}
	delivery, err := subscription.Receive(ctx)
	if err != nil {
		panic(err)
	}
	fmt.Printf("%s: %s\n", delivery.Message.ID, delivery.Message.Body)
	if err := delivery.Settle(mq.Ack); err != nil {
		panic(err)
	}
	// Output: 1: hello
}

// An external NATS is dialled when it is needed.
func ExampleOpen() {
	_, err := jetstream.Open(jetstream.Config{Addresses: []mq.ConnectionConfig{{URI: "amqp://broker"}}})
	fmt.Println(err)
	// Output: address of NATS: scheme "amqp" is neither nats nor tls
}

func ExampleManagerID() {
	fmt.Println(jetstream.ManagerID(mq.ConnectionConfig{Hostname: []string{"broker"}}))
	// Output: broker:4222
}

func ExampleValidateConnection() {
	fmt.Println(jetstream.ValidateConnection(mq.ConnectionConfig{Hostname: []string{"broker"}, VirtualHost: "/"}))
	// Output: virtualHost: NATS has no virtual hosts: remove it
}

func ExampleEmbeddedConfig_Validate() {
	fmt.Println(jetstream.EmbeddedConfig{Sync: "sometimes"}.Validate())
	// Output: sync: "sometimes" is neither always nor an interval such as 500ms
}
