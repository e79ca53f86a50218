package main

import (
	"context"
	"sync/atomic"

	"mqgateway/api/proto/gateway"
	"mqgateway/internal/flow"
	"mqgateway/internal/mq"
)

// live are the flows as they are now. A change of the configuration swaps them
// whole; what is being done with a message then is finished by those that it was
// begun with. The first flows have to be there before the first message.
type live struct{ flows atomic.Pointer[flows] }

// handler is the flow of that name, as it is when a message comes.
func (l *live) handler(name string) flow.Handler {
	return func(ctx context.Context, in *flow.Message) (*flow.Message, error) {
		return l.flows.Load().handlers[name](ctx, in)
	}
}

// message makes the message of a call of the asynchronous channel.
func (l *live) message(p *gateway.ProtoMessage, call *flow.Call) (*flow.Message, error) {
	return l.flows.Load().outbound.FromProto(p, call)
}

// request makes the request of a call of the synchronous channel.
func (l *live) request(p *gateway.ProtoMessage, call *flow.Call) (*flow.Message, error) {
	return l.flows.Load().outbound.Request(p, call)
}

// allowReplyQueue tells why a request may not name a queue for its reply; nil where it may.
func (l *live) allowReplyQueue(queue string) error { return l.flows.Load().allowReplyQueue(queue) }

// failure says what becomes of messages that fail now.
func (l *live) failure() *mq.Failure { return l.flows.Load().failure }

// replyFailure says what becomes of replies that can't be given to who waits for
// them: they are kept at hand, since nobody waits for long.
func (l *live) replyFailure() *mq.Failure {
	return &mq.Failure{
		FailureConfig: mq.FailureConfig{OnExhausted: mq.Requeue},
		DeadLetters:   l.failure().DeadLetters,
	}
}
