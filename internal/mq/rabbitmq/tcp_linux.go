package rabbitmq

import (
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// limitUnacknowledged lets the kernel give a connection up whose peer has not
// acknowledged sent bytes for so long (https://datatracker.ietf.org/doc/html/rfc5482).
func limitUnacknowledged(after time.Duration) func(network, address string, c syscall.RawConn) error {
	return func(_, _ string, c syscall.RawConn) error {
		var err error
		if e := c.Control(func(fd uintptr) {
			err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(after.Milliseconds()))
		}); e != nil {
			return e
		}
		return err
	}
}
