// Package ports gives out free TCP ports, for programs in tests that can't choose
// one themselves.
package ports

import (
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
)

// Free returns a port of 127.0.0.1 that nobody listens on. No other call returns it
// while this process lives, in other processes neither, so that it stays free while
// who listens on it is down. It lies below the range that the kernel takes outgoing
// connections from.
func Free() int {
	for {
		port := 10_000 + rand.IntN(22_000)
		if reserve(port) && isFree(port) {
			return port
		}
	}
}

// reserved are the sockets that stand for ports of this process.
var reserved struct {
	mu   sync.Mutex // guards all
	held []net.Listener
}

// reserve tells whether the port is ours from now on. A socket in Linux's abstract
// name space stands for it: names are taken by one process at a time, and are given
// back with its end, however that comes.
func reserve(port int) bool {
	l, err := net.Listen("unix", fmt.Sprintf("@mqgateway-port-%d", port))
	if err != nil {
		return false
	}
	reserved.mu.Lock()
	defer reserved.mu.Unlock()
	reserved.held = append(reserved.held, l)
	return true
}

func isFree(port int) bool {
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return false
	}
	_ = l.Close() // It was only looked whether it could be had.
	return true
}
