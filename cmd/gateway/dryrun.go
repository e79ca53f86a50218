package main

import (
	"context"
	"errors"
	"slices"

	"mqgateway/api/proto/gateway"
	"mqgateway/internal/config"
	"mqgateway/internal/field"
	"mqgateway/internal/flow"
	"mqgateway/internal/mapping"
	"mqgateway/internal/routing"
)

// dryRun is a gateway without its ends: it does with a message what run does
// between the queue and the service, and tells of it.
type dryRun struct {
	router *routing.Router
	text   mapping.Text
	// source is where messages are taken to come from.
	source flow.Source
	// variables are the names of all variables.
	variables []string
}

func newDryRun(cfg config.Config) (*dryRun, error) {
	if len(cfg.Routing.RouteList) == 0 {
		return nil, withHint(errors.New("the configuration has no routes (routing.routeList)"),
			"consumer gateways have them, and provider gateways that read mq.connection.receiveQueue")
	}
	router, err := routing.New(cfg.Routing, cfg.RoutingOptions())
	if err != nil {
		return nil, field.Under("routing", err)
	}
	d := &dryRun{router: router, text: bodyText(cfg), source: firstSource(cfg)}
	for _, route := range cfg.Routing.RouteList {
		for _, v := range route.Variables {
			d.variables = append(d.variables, v.Name)
		}
	}
	return d, nil
}

// firstSource is the first queue of the first manager.
func firstSource(cfg config.Config) flow.Source {
	queues := slices.Concat(cfg.MQ.Connection.ReceiveQueue, cfg.MQ.Connection.ReceiveQueueSync)
	if len(queues) == 0 {
		return flow.Source{}
	}
	return flow.Source{Queue: queues[0], Manager: cfg.MQ.ManagerIDs()[0]}
}

// draft begins a message that was read from the first queue.
func (d *dryRun) draft() *draft { return &draft{message: flow.Message{Source: d.source}} }

// explain decodes and routes a message, which it changes as the gateway does.
func (d *dryRun) explain(ctx context.Context, m *flow.Message) *routing.Explanation {
	var x *routing.Explanation
	decode := d.text.Middleware(func(_ context.Context, m *flow.Message) (*flow.Message, error) {
		var err error
		x, err = d.router.Explain(m)
		return nil, err
	})
	if _, err := decode(ctx, m); x == nil {
		x = &routing.Explanation{}
		x.Fail(routing.StageBody, err)
	}
	return x
}

// deliver goes on to what the service gets, which is nil when the message fails.
func (d *dryRun) deliver(ctx context.Context, m *flow.Message) (*routing.Explanation, *gateway.ProtoMessage) {
	x := d.explain(ctx, m)
	if x.Error != nil {
		return x, nil
	}
	p, err := mapping.ToProto(m)
	if err != nil {
		x.Fail(routing.StageMessage, err)
		return x, nil
	}
	return x, p
}
