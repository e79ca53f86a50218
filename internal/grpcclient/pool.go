package grpcclient

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"google.golang.org/grpc"
)

// An automatic pool grows when each of its connections has nearly as many calls
// as proxies and servers commonly allow at once (100); grpc-go queues what is
// beyond (https://grpc.io/docs/guides/performance/).
const (
	busyCalls     = 90
	automaticPool = 8
)

// connection is one HTTP/2 connection and the number of calls on it.
type connection struct {
	*grpc.ClientConn
	calls atomic.Int64
}

// release ends a call that take began.
func (c *connection) release() { c.calls.Add(-1) }

// pool is the connections to one target.
type pool struct {
	// address is the target as errors name it.
	address string
	dial    func() (*grpc.ClientConn, error)
	// size of the pool; 0 is automatic.
	size        int
	connections atomic.Pointer[[]*connection]

	// mu guards growing and closing.
	mu     sync.Mutex
	closed bool
}

// newPool makes the connections, which connect when they are first used.
func newPool(address string, size int, dial func() (*grpc.ClientConn, error)) (*pool, error) {
	p := &pool{address: address, dial: dial, size: size}
	p.connections.Store(new([]*connection))
	for range max(size, 1) {
		if err := p.add(); err != nil {
			return nil, errors.Join(err, p.close())
		}
	}
	return p, nil
}

// take returns the connection with the fewest calls and counts one more; the
// first one where several have as few, so that the others may fall idle.
func (p *pool) take() (*connection, error) {
	for {
		least := p.least()
		calls := least.calls.Load()
		if calls >= busyCalls && p.mayGrow() {
			if err := p.grow(); err != nil {
				return nil, err
			}
			continue
		}
		if least.calls.CompareAndSwap(calls, calls+1) {
			return least, nil
		}
	}
}

func (p *pool) least() *connection {
	all := *p.connections.Load()
	least := all[0]
	for _, c := range all[1:] {
		if c.calls.Load() < least.calls.Load() {
			least = c
		}
	}
	return least
}

func (p *pool) mayGrow() bool {
	return p.size == 0 && len(*p.connections.Load()) < automaticPool
}

// grow adds a connection, unless somebody else just did.
func (p *pool) grow() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.closed:
		return errClosed
	case !p.mayGrow() || p.least().calls.Load() < busyCalls:
		return nil
	default:
		return p.add()
	}
}

// add needs mu, but in newPool.
func (p *pool) add() error {
	conn, err := p.dial()
	if err != nil {
		return fmt.Errorf("preparing a connection to %s: %w", p.address, err)
	}
	all := append(slices.Clone(*p.connections.Load()), &connection{ClientConn: conn})
	p.connections.Store(&all)
	return nil
}

// idle tells that no call is on any connection.
func (p *pool) idle() bool {
	for _, c := range *p.connections.Load() {
		if c.calls.Load() > 0 {
			return false
		}
	}
	return true
}

// close ends all connections; calls on them fail.
func (p *pool) close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil
	}
	p.closed = true
	var errs []error
	for _, c := range *p.connections.Load() {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}
