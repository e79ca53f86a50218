package config_test

import (
	"fmt"

	"mqgateway/internal/config"
)

func ExampleLoad() {
	files := map[string]string{
		"application.yml": `
mq:
  systemType: provider
  connection:
    sendQueu: PAYMENTS
    connections:
      - hostname: rabbit
        port: amqp
`,
	}
	_, err := config.Load([]string{"application.yml"}, config.Options{
		ReadFile: func(name string) ([]byte, error) { return []byte(files[name]), nil },
	})
	fmt.Println(err)
	// Output:
	// application.yml:5:5: mq.connection.sendQueu: unknown key (did you mean mq.connection.sendQueue?)
	// application.yml:8:15: mq.connection.connections[0].port: "amqp" is not a whole number
}
