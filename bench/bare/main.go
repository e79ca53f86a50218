// Command bare is the least that a program can do for a flow of the gateway: the
// client library of the broker, gRPC and nothing between them, tuned by hand. It
// is what bench holds the gateway against, and no more than that: it does not
// reconnect, retry, route, count or log.
//
//	bare consume   queue -> call of a service -> ack
//	bare provide   call -> publish with confirm -> answer
//	bare answer    queue -> call of a service -> publish its answer with confirm -> ack
//	bare ask       call -> publish with confirm -> reply -> answer
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

// options are the flags of all loops.
type options struct {
	uri, queue string

	// manager is what the system headers call the broker.
	manager string
	// Of consume and answer: who is called, under which name.
	service, authority string
	// Of ask: the queue of the replies, or the direct reply address.
	replies string
	// Of those that read a queue; ask has no workers.
	workers, prefetch, run int
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	loops := map[string]func(context.Context, options) error{"consume": consume, "provide": provide, "answer": answer, "ask": ask}
	if len(args) == 0 || loops[args[0]] == nil {
		return fmt.Errorf("usage: bare consume|provide|answer|ask [flags]")
	}
	var o options
	flags := flag.NewFlagSet("bare "+args[0], flag.ContinueOnError)
	flags.StringVar(&o.uri, "uri", "", "address of the broker")
	flags.StringVar(&o.queue, "queue", "", "queue to read or to publish to")
	flags.StringVar(&o.service, "service", "", "address of the service that is called")
	flags.StringVar(&o.authority, "authority", "", ":authority of the calls")
	flags.StringVar(&o.manager, "manager", "", "name of the broker in the system headers")
	flags.StringVar(&o.replies, "replies", directReplyTo, "queue that replies come by, or the direct reply address")
	flags.IntVar(&o.workers, "workers", 64, "calls at once")
	flags.IntVar(&o.prefetch, "prefetch", 256, "deliveries taken ahead")
	flags.IntVar(&o.run, "run", 64, "deliveries that one ack settles at most")
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	return loops[args[0]](ctx, o)
}

// started tells whoever runs this program that it is ready, as the gateway does.
func started(grpc string) {
	_ = json.NewEncoder(os.Stdout).Encode(map[string]string{"msg": "loop is started", "grpc": grpc})
}
