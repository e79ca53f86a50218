package rabbitmq_test

import (
	"fmt"
	"time"

	"mqgateway/internal/mq"
	"mqgateway/internal/mq/rabbitmq"
)

func ExampleOpen() {
	broker, err := rabbitmq.Open(rabbitmq.Config{
		Manager:        "QM1",
		Addresses:      []mq.ConnectionConfig{{Hostname: []string{"rabbit-1", "rabbit-2"}, VirtualHost: "orders"}},
		Instance:       "gateway-0",
		ConfirmTimeout: 5 * time.Second,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(broker.Close()) // nothing was dialled yet
	// Output: <nil>
}

func ExampleManagerID() {
	fmt.Println(rabbitmq.ManagerID(mq.ConnectionConfig{URI: "amqp://user:password@rabbit-1/orders"}))
	// Output: rabbit-1:5672/orders
}

func ExampleValidateConnection() {
	fmt.Println(rabbitmq.ValidateConnection(mq.ConnectionConfig{URI: "amqp://rabbit-1", Port: 5672}))
	// Output: port: is not allowed beside uri, which names it already
}
