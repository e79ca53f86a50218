// Command natspublish puts its standard input as a message on a queue of the
// gateway's embedded broker, or of NATS, and prints its number there.
//
//	natspublish nats://TOKEN@127.0.0.1:4222 mq.ORDERS.IN [HEADER=VALUE ...] < order.xml
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: natspublish nats://TOKEN@HOST:PORT SUBJECT [HEADER=VALUE ...] < BODY")
		os.Exit(2)
	}
	number, err := publish(os.Args[1], os.Args[2], os.Args[3:], os.Stdin)
	if err != nil {
		fmt.Fprintln(os.Stderr, "natspublish:", err)
		os.Exit(1)
	}
	fmt.Println(number)
}

// publish returns once the broker has stored the message.
func publish(url, subject string, headers []string, body io.Reader) (number uint64, err error) {
	conn, err := nats.Connect(url)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	stream, err := jetstream.New(conn)
	if err != nil {
		return 0, err
	}
	message := nats.NewMsg(subject)
	for _, h := range headers {
		name, value, _ := strings.Cut(h, "=")
		message.Header.Set(name, value)
	}
	if message.Data, err = io.ReadAll(body); err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	ack, err := stream.PublishMsg(ctx, message)
	if err != nil {
		return 0, err
	}
	return ack.Sequence, nil
}
