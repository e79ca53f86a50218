package config

import (
	"errors"

	"mqgateway/internal/field"
	"mqgateway/internal/flow"
)

// AsyncQueues are the queues whose messages are passed on to microservices: messages
// of the external system, or its independent replies.
func (c Config) AsyncQueues() []string {
	if c.MQ.WorkMode == flow.Sync {
		return nil
	}
	return c.MQ.Connection.ReceiveQueue
}

// SyncQueues are the queues whose messages are requests, answered by the reply of
// the microservice. Only a consumer gateway has them.
func (c Config) SyncQueues() []string {
	queues := c.MQ.Connection.ReceiveQueueSync
	switch {
	case c.MQ.SystemType != flow.Consumer || c.MQ.WorkMode == flow.Async:
		return nil
	case c.MQ.WorkMode == flow.Sync && len(queues) == 0:
		return c.MQ.Connection.ReceiveQueue
	default:
		return queues
	}
}

// ServesAsync tells whether microservices may send messages to a queue.
func (c Config) ServesAsync() bool { return c.MQ.WorkMode != flow.Sync }

// ServesSync tells whether microservices may send requests to a queue and wait for the
// reply. Only a provider gateway does that: always in mode sync, and in mode all
// when it is said where replies come.
func (c Config) ServesSync() bool {
	r := c.MQ.SyncReceiver
	replies := r.DefaultReceiveQueue != "" || len(r.AllowedReplyQueues) > 0 || r.ReplyToMode == ReplyDirect
	return c.MQ.SystemType == flow.Provider && (c.MQ.WorkMode == flow.Sync || c.MQ.WorkMode == flow.All && replies)
}

// CallsServices tells whether messages are read from queues and passed on to
// microservices.
func (c Config) CallsServices() bool {
	return c.MQ.SystemType == flow.Consumer || len(c.AsyncQueues()) > 0
}

// validateModes holds the queues against role and mode.
func (c Config) validateModes() error {
	if c.MQ.SystemType == flow.Consumer {
		return field.Under("mq.connection", c.validateConsumerQueues())
	}
	return field.Under("mq.connection", c.validateProviderQueues())
}

func (c Config) validateConsumerQueues() error {
	async, sync := len(c.MQ.Connection.ReceiveQueue) > 0, len(c.MQ.Connection.ReceiveQueueSync) > 0
	var errs []error
	switch {
	case c.MQ.WorkMode == flow.Async && sync:
		errs = append(errs, field.Errorf("receiveQueueSync", "workMode async does not read it: set workMode to all, or remove the key"))
	case c.MQ.WorkMode == flow.Sync && sync && async:
		errs = append(errs, field.Errorf("receiveQueue",
			"workMode sync reads only receiveQueueSync when both are set: set workMode to all, or remove the key"))
	}
	if len(c.AsyncQueues())+len(c.SyncQueues()) == 0 {
		path := "receiveQueue"
		if c.MQ.WorkMode == flow.Sync {
			path = "receiveQueueSync"
		}
		errs = append(errs, field.Errorf(path, "a consumer gateway (systemType: sc) needs a queue to read"))
	}
	return errors.Join(errs...)
}

func (c Config) validateProviderQueues() error {
	var errs []error
	if c.MQ.WorkMode == flow.Sync && len(c.MQ.Connection.ReceiveQueue) > 0 {
		errs = append(errs, field.Errorf("receiveQueue",
			"a provider gateway (systemType: sp) does not read it in workMode sync: set workMode to all, or remove the key; mq.syncReceiver says how replies come"))
	}
	if len(c.MQ.Connection.ReceiveQueueSync) > 0 {
		errs = append(errs, field.Errorf("receiveQueueSync",
			"a provider gateway (systemType: sp) does not read it: remove the key; mq.syncReceiver says how replies come"))
	}
	if c.MQ.Connection.SendQueue == "" && !c.MQ.Connection.SendToCustomDestination {
		errs = append(errs, field.Errorf("sendQueue",
			"a provider gateway (systemType: sp) needs a queue to send to, unless sendToCustomDestination is true"))
	}
	return errors.Join(errs...)
}
