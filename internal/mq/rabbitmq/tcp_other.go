//go:build !linux

package rabbitmq

import (
	"syscall"
	"time"
)

// limitUnacknowledged is for Linux; elsewhere heartbeats and deadlines have to do.
func limitUnacknowledged(time.Duration) func(network, address string, c syscall.RawConn) error {
	return nil
}
