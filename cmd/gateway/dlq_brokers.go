package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"mqgateway/internal/config"
	"mqgateway/internal/mq"
	"mqgateway/internal/mq/jetstream"
)

// openForDLQ opens the brokers of a configuration beside a gateway that may run
// with it.
func openForDLQ(ctx context.Context, cfg config.Config) (*brokers, error) {
	cfg.MQ.Instance += "-dlq"
	if cfg.MQ.Provider != config.Embedded {
		return openBrokers(cfg)
	}
	directory := cmp.Or(cfg.MQ.Embedded.Directory, "data")
	if _, err := os.Stat(directory); err != nil {
		return nil, withHint(fmt.Errorf("looking for the embedded broker: directory %q: %w", directory, withoutPath(err)),
			"run the command in the folder that the gateway was started in, or set mq.embedded.directory to a full path")
	}
	alone := cfg
	alone.MQ.Embedded.Listen = "" // for nobody but this command
	opened, err := openBrokers(alone)
	if errors.Is(err, jetstream.ErrLocked) {
		return connectToEmbedded(ctx, cfg)
	}
	return opened, err
}

// connectTimeout bounds the try to reach the embedded broker of a running gateway.
const connectTimeout = 10 * time.Second

// connectToEmbedded reaches the embedded broker of a running gateway as any program
// would.
func connectToEmbedded(ctx context.Context, cfg config.Config) (*brokers, error) {
	const hint = "set mq.embedded.listen: 127.0.0.1:4222 and restart the gateway, or stop it for as long as this command runs"
	connection, err := cfg.MQ.Embedded.Connection()
	if err != nil {
		return nil, withHint(fmt.Errorf("a running gateway has the embedded broker: mq.embedded.%w", err), hint)
	}
	driver, err := jetstream.Open(jetStreamConfig(cfg, config.EmbeddedManager, []mq.ConnectionConfig{connection}))
	if err != nil {
		return nil, err
	}
	within, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	if err := driver.Check(within); err != nil {
		_ = driver.Close()
		return nil, withHint(fmt.Errorf("connecting to the embedded broker of a running gateway at %s: %w", cfg.MQ.Embedded.Listen, err), hint)
	}
	return &brokers{all: []namedBroker{{config.EmbeddedManager, driver}}}, nil
}
