package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"time"

	"mqgateway/internal/config"
	"mqgateway/internal/mq"
)

// reachTimeout bounds the try to reach one thing.
const reachTimeout = 10 * time.Second

// reach tells of each manager, queue and service of a configuration whether it is
// there: good news to out, bad news to problems. It changes nothing that others see, so
// that of the rights only those to exchange replies are tried.
func reach(ctx context.Context, cfg config.Config, out, problems io.Writer) error {
	r := reaching{cfg: cfg, out: out, problems: problems}
	if cfg.MQ.Provider == config.Embedded {
		fmt.Fprintln(out, "broker inside the process: nothing to reach")
	} else if err := r.managers(ctx); err != nil {
		return err
	}
	if address := cfg.GRPC.Client.MeshAddress(); address != "" && cfg.CallsServices() {
		r.service(ctx, address)
	}
	if r.failed > 0 {
		return withHint(fmt.Errorf("%s not reached", counted(r.failed, "thing")), "'gateway run' starts all the same, and tries until all is there")
	}
	return nil
}

// errMissing is a queue that nobody makes.
var errMissing = errors.New("missing: create it, or set mq.connection.declareQueues")

// reaching counts what was not reached.
type reaching struct {
	cfg           config.Config
	out, problems io.Writer
	failed        int
}

func (r *reaching) managers(ctx context.Context) error {
	opened, err := openBrokers(r.cfg)
	if err != nil {
		return err
	}
	defer opened.close(slog.New(slog.DiscardHandler))
	for _, b := range opened.all {
		if slices.Contains(r.cfg.MQ.ConsumerParams.DisableManagerIDs, b.id) {
			fmt.Fprintf(r.out, "manager %s: disabled\n", b.id)
			continue
		}
		r.manager(ctx, b)
	}
	return nil
}

// manager looks for a broker, and for its queues where that is there.
func (r *reaching) manager(ctx context.Context, b namedBroker) {
	ctx, cancel := context.WithTimeout(ctx, reachTimeout)
	defer cancel()
	if err := b.driver.Check(ctx); err != nil {
		r.tell("manager "+b.id, "", err)
		return
	}
	r.tell("manager "+b.id, "connected", nil)
	for _, queue := range namedQueues(r.cfg) {
		what := fmt.Sprintf("queue %s on %s", queue, b.id)
		messages, err := mq.CountLetters(ctx, b.driver, queue)
		switch {
		case !errors.Is(err, mq.ErrNoQueue):
			r.tell(what, "there, "+counted(messages, "message"), err)
		case declaredKind(r.cfg) == mq.Existing:
			r.tell(what, "", errMissing)
		default:
			fmt.Fprintf(r.out, "%s: missing; a gateway makes it\n", what)
		}
	}
	if queue := sharedReplyQueue(r.cfg); queue != "" {
		r.tell(fmt.Sprintf("replies of %s on %s", queue, b.id), "instances can exchange them", mq.TryExchange(ctx, b.driver, queue))
	}
}

// service looks whether anything listens where microservices are called.
func (r *reaching) service(ctx context.Context, address string) {
	dialer := net.Dialer{Timeout: reachTimeout}
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err == nil {
		err = conn.Close()
	}
	r.tell("services at "+address, "connected", err)
}

func (r *reaching) tell(what, good string, err error) {
	if err == nil {
		fmt.Fprintf(r.out, "%s: %s\n", what, good)
		return
	}
	r.failed++
	fmt.Fprintf(r.problems, "%s: %v\n", what, err)
}

// namedQueues are those that have to be there, as far as the configuration names them.
func namedQueues(cfg config.Config) []string {
	queues := slices.Concat(cfg.AsyncQueues(), cfg.SyncQueues())
	for _, q := range sendQueues(cfg) {
		queues = append(queues, q.Name)
	}
	if queue := sharedReplyQueue(cfg); queue != "" {
		queues = append(queues, queue)
	}
	return queues
}

// sharedReplyQueue is the queue that all instances read for replies; empty where there
// is none, or none is named.
func sharedReplyQueue(cfg config.Config) string {
	if !cfg.ServesSync() || !cfg.SharesReplies() {
		return ""
	}
	return cfg.MQ.SyncReceiver.DefaultReceiveQueue
}
