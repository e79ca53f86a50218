package grpcclient

import (
	"container/list"
	"errors"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
)

// errClosed is what calls get once the caller is closed.
var errClosed = errors.New("caller is closed")

// targets finds the connections for an authority.
type targets interface {
	// take returns a pool and one of its connections, which has to be released.
	take(authority string, s *settings) (*pool, *connection, error)
	close() error
}

// mesh is one pool to an address that routes calls by their authority.
type mesh struct{ pool *pool }

// newMesh connects to the address of the settings "default". The name is
// resolved whenever a connection is made, by the system's resolver, as any
// other program's in the pod would be.
func newMesh(s *settings) (*mesh, error) {
	address := s.meshAddress()
	p, err := newPool(address, s.config.Connections, func() (*grpc.ClientConn, error) {
		return grpc.NewClient("passthrough:///"+address, dialOptions(s)...)
	})
	return &mesh{p}, err
}

// MeshAddress is where all calls go with routing authority; empty with direct, where
// each message has a service of its own.
func (c Config) MeshAddress() string {
	if c.Routing == direct {
		return ""
	}
	return newSettingsBook(c.Settings).fallback.meshAddress()
}

func (s *settings) meshAddress() string {
	return net.JoinHostPort(strings.Trim(s.config.Hostname, "[]"), strconv.Itoa(s.config.Port))
}

func (m *mesh) take(string, *settings) (*pool, *connection, error) {
	c, err := m.pool.take()
	return m.pool, c, err
}

func (m *mesh) close() error { return m.pool.close() }

// maxTargets bounds the authorities that are connected at once.
const maxTargets = 256

// roundRobin spreads calls over all addresses of a name.
const roundRobin = `{"loadBalancingConfig":[{"round_robin":{}}]}`

// directTargets has a pool for each authority. The one that was used longest
// ago is closed when there are too many.
type directTargets struct {
	mu sync.Mutex
	// byAuthority has the elements of recent, whose values are *target, the one
	// used last in front; guarded by mu.
	byAuthority map[string]*list.Element
	recent      *list.List
	closed      bool
}

type target struct {
	authority string
	pool      *pool
}

func newDirectTargets() *directTargets {
	return &directTargets{byAuthority: map[string]*list.Element{}, recent: list.New()}
}

func (d *directTargets) take(authority string, s *settings) (*pool, *connection, error) {
	p, c, evicted, err := d.find(authority, s)
	for _, old := range evicted {
		_ = old.close() // Nothing is on it; the call at hand is another's.
	}
	return p, c, err
}

// find counts the call under the lock, so that a pool in use is never evicted.
func (d *directTargets) find(authority string, s *settings) (p *pool, c *connection, evicted []*pool, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return nil, nil, nil, errClosed
	}
	element, ok := d.byAuthority[authority]
	if ok {
		d.recent.MoveToFront(element)
		p = element.Value.(*target).pool
	} else {
		if p, err = newDirectPool(s.address(authority), s); err != nil {
			return nil, nil, nil, err
		}
		d.byAuthority[authority] = d.recent.PushFront(&target{authority, p})
	}
	if c, err = p.take(); err != nil {
		return nil, nil, nil, err
	}
	return p, c, d.evict(), nil
}

// evict takes out what is over the bound; a pool with calls stays.
func (d *directTargets) evict() []*pool {
	var evicted []*pool
	for e := d.recent.Back(); e != nil && d.recent.Len() > maxTargets; {
		older := e.Prev()
		if old := e.Value.(*target); old.pool.idle() {
			d.recent.Remove(e)
			delete(d.byAuthority, old.authority)
			evicted = append(evicted, old.pool)
		}
		e = older
	}
	return evicted
}

func (d *directTargets) close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = true
	var errs []error
	for e := d.recent.Front(); e != nil; e = e.Next() {
		errs = append(errs, e.Value.(*target).pool.close())
	}
	return errors.Join(errs...)
}

func newDirectPool(address string, s *settings) (*pool, error) {
	options := append(dialOptions(s), grpc.WithDefaultServiceConfig(roundRobin))
	return newPool(address, s.config.Connections, func() (*grpc.ClientConn, error) {
		return grpc.NewClient("dns:///"+address, options...)
	})
}

// A service that is back has to be noticed soon; grpc-go's own longest pause is
// two minutes, and its shortest time for connecting 20 seconds.
const (
	firstPause     = 200 * time.Millisecond
	longestPause   = 5 * time.Second
	connectTimeout = 5 * time.Second
	idleTimeout    = 30 * time.Minute
)

// dialOptions are those of every connection. Calls inside the cluster never go
// through an HTTP proxy, and retrying is somebody else's (what the server surely
// did not start is still started again by grpc-go).
func dialOptions(s *settings) []grpc.DialOption {
	pause := backoff.DefaultConfig
	pause.BaseDelay, pause.MaxDelay = firstPause, longestPause
	options := []grpc.DialOption{
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithNoProxy(),
		grpc.WithDisableServiceConfig(),
		grpc.WithDisableRetry(),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: pause, MinConnectTimeout: connectTimeout}),
		grpc.WithIdleTimeout(idleTimeout),
		grpc.WithUserAgent("mq-gateway"),
	}
	if k := s.config.Keepalive; k.Time > 0 {
		options = append(options, grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: k.Time, Timeout: k.Timeout}))
	}
	return options
}
