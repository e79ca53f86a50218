package main

import (
	"log/slog"
	"strconv"
	"sync"

	"mqgateway/internal/admin"
	"mqgateway/internal/config"
	"mqgateway/internal/mq"
	"mqgateway/internal/mq/jetstream"
	"mqgateway/internal/mq/rabbitmq"
)

// brokers are the brokers of a configuration, by manager.
type brokers struct {
	all []namedBroker
	// embedded is the broker inside the process; nil with another provider.
	embedded *jetstream.Server
}

// namedBroker is a driver's broker under the id of its manager.
type namedBroker struct {
	id     string
	driver mq.Broker
}

// openBrokers opens a driver for each manager; none dials yet.
func openBrokers(cfg config.Config) (*brokers, error) {
	if cfg.MQ.Provider == config.Embedded {
		return openEmbedded(cfg)
	}
	opened := &brokers{}
	for _, id := range cfg.MQ.ManagerIDs() {
		driver, err := openDriver(cfg, id, cfg.MQ.Addresses(id))
		if err != nil {
			return nil, err
		}
		opened.all = append(opened.all, namedBroker{id, driver})
	}
	return opened, nil
}

func openDriver(cfg config.Config, id string, addresses []mq.ConnectionConfig) (mq.Broker, error) {
	if cfg.MQ.Provider == config.NATS {
		return jetstream.Open(jetStreamConfig(cfg, id, addresses))
	}
	return rabbitmq.Open(rabbitmq.Config{
		Manager: id, Addresses: addresses, Instance: cfg.MQ.Instance, ConfirmTimeout: cfg.MQ.Connection.ConfirmTimeout,
	})
}

// openEmbedded starts the broker inside the process and connects to it.
func openEmbedded(cfg config.Config) (*brokers, error) {
	server, err := jetstream.StartServer(cfg.MQ.Embedded, cfg.MQ.MaxMsgLength)
	if err != nil {
		return nil, err
	}
	driver := server.Open(jetStreamConfig(cfg, config.EmbeddedManager, nil))
	return &brokers{all: []namedBroker{{config.EmbeddedManager, driver}}, embedded: server}, nil
}

func jetStreamConfig(cfg config.Config, id string, addresses []mq.ConnectionConfig) jetstream.Config {
	return jetstream.Config{
		Manager: id, Addresses: addresses, Instance: cfg.MQ.Instance,
		ConfirmTimeout: cfg.MQ.Connection.ConfirmTimeout, MaxMessage: cfg.MQ.MaxMsgLength,
	}
}

// managers keep the brokers connected, as far as the configuration lets them.
func (b *brokers) managers(cfg config.Config, log *slog.Logger, metrics *mq.Metrics) *mq.Managers {
	managers := &mq.Managers{}
	for _, named := range b.all {
		managers.Add(named.id, named.driver, mq.ManagerOptions{
			Queues: sendQueues(cfg), Health: cfg.MQ.Connection.Health, ConfirmTimeout: cfg.MQ.Connection.ConfirmTimeout,
			ReplyWait: cfg.MQ.SyncReceiver.MaxProcessingTime, Log: log, Metrics: metrics,
		})
	}
	managers.SetDisabled(cfg.MQ.ConsumerParams.DisableManagerIDs)
	managers.SetReading(cfg.MQ.ConsumerParams.ReadEnabled)
	return managers
}

// component is the health of a manager, for people.
func component(managers *mq.Managers, m *mq.Manager) admin.Component {
	state := m.State()
	c := admin.Component{Up: state.Status == mq.Up && !m.Disabled(), Details: map[string]string{
		"state":    state.Status.String(),
		"weight":   strconv.FormatFloat(managers.Weight(m), 'f', 2, 64),
		"disabled": strconv.FormatBool(m.Disabled()),
	}}
	if state.Err != nil {
		c.Details["cause"] = state.Err.Error()
	}
	return c
}

// address is where other programs reach the embedded broker; empty when they
// can't.
func (b *brokers) address() string {
	if b.embedded == nil {
		return ""
	}
	return b.embedded.Addr()
}

// close ends the connections, and then the embedded broker.
func (b *brokers) close(log *slog.Logger) {
	var closing sync.WaitGroup
	for _, named := range b.all {
		closing.Go(func() {
			if err := named.driver.Close(); err != nil {
				log.Warn("closing the connections", "manager", named.id, "err", err)
			}
		})
	}
	closing.Wait()
	if b.embedded == nil {
		return
	}
	if err := b.embedded.Close(); err != nil {
		log.Warn("closing the embedded broker", "err", err)
	}
}

// declaredKind is how receive and send queues are declared when they are missing.
func declaredKind(cfg config.Config) mq.QueueKind {
	if cfg.MQ.Provider == config.Embedded {
		return mq.Quorum // the only broker that has these queues is ours to fill
	}
	switch cfg.MQ.Connection.DeclareQueues {
	case "quorum":
		return mq.Quorum
	case "classic":
		return mq.Classic
	default:
		return mq.Existing
	}
}

// deadLetterKind reads mq.failure.declare.
func deadLetterKind(declare string) mq.QueueKind {
	switch declare {
	case "false":
		return mq.Existing
	case "classic":
		return mq.Classic
	default:
		return mq.Quorum
	}
}
