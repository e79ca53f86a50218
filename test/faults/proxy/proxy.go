// Package proxy is a bad network: a TCP proxy on 127.0.0.1 whose connections can
// be reset, swallowed, held, slowed down or refused, all at once and at any time.
//
//	p := proxy.Start(t, broker.Address())
//	p.Swallow(proxy.FromServer) // half-dead connections, as behind a NAT that forgot them
//	p.Heal()                    // new connections work; those that lost bytes stay dead
package proxy

import (
	"context"
	"net"
	"sync"
	"testing"
	"time"
)

// Direction is where bytes go.
type Direction uint8

// The directions. They can be joined.
const (
	FromClient Direction = 1 << iota
	FromServer
	Both = FromClient | FromServer
)

// Proxy passes connections on to one server. Its methods may be called by many
// goroutines at once.
type Proxy struct {
	// Address is where it listens, as host:port.
	Address string

	target  string
	running sync.WaitGroup

	mu       sync.Mutex // guards all below
	listener net.Listener
	links    map[*link]struct{}
	weather  weather
	changed  chan struct{} // closed when the weather changes
}

// weather is what happens to bytes.
type weather struct {
	swallow, hold Direction
	refuse        bool
	latency       time.Duration
	bandwidth     int // bytes a second in each direction of each connection; 0 is any
}

// Start runs a proxy until the test ends.
func Start(t testing.TB, target string) *Proxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{
		Address: listener.Addr().String(), target: target, listener: listener,
		links: map[*link]struct{}{}, changed: make(chan struct{}),
	}
	p.running.Go(func() { p.accept(listener) })
	t.Cleanup(func() {
		_ = listener.Close()
		p.Heal()
		p.Reset()
		p.running.Wait()
	})
	return p
}

// Swallow lets the bytes of these directions vanish, those of new connections, too.
// A connection that lost bytes never recovers, not by [Proxy.Heal] either: neither
// side hears any more of the other, not even that it closed.
func (p *Proxy) Swallow(d Direction) { p.set(func(w *weather) { w.swallow = d }) }

// Hold keeps the bytes of these directions back until [Proxy.Heal], as a network
// does that loses packets for a while.
func (p *Proxy) Hold(d Direction) { p.set(func(w *weather) { w.hold = d }) }

// Slow delays what passes and bounds the bytes a second; 0 bytes are any.
func (p *Proxy) Slow(latency time.Duration, bytesPerSecond int) {
	p.set(func(w *weather) { w.latency, w.bandwidth = latency, bytesPerSecond })
}

// Refuse resets new connections at once. Those that live are left alone.
func (p *Proxy) Refuse() { p.set(func(w *weather) { w.refuse = true }) }

// Heal ends everything that was set.
func (p *Proxy) Heal() { p.set(func(w *weather) { *w = weather{} }) }

// Reset ends all live connections with RST towards both sides, and returns how many
// there were.
func (p *Proxy) Reset() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.links {
		l.reset()
	}
	return len(p.links)
}

// Connections counts the live ones.
func (p *Proxy) Connections() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.links)
}

func (p *Proxy) set(change func(*weather)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change(&p.weather)
	close(p.changed)
	p.changed = make(chan struct{})
}

func (p *Proxy) now() (weather, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.weather, p.changed
}

func (p *Proxy) accept(listener net.Listener) {
	for {
		client, err := listener.Accept()
		if err != nil {
			return
		}
		p.running.Go(func() { p.serve(client) })
	}
}

// serve passes one connection on until it has ended.
func (p *Proxy) serve(client net.Conn) {
	if w, _ := p.now(); w.refuse {
		reset(client)
		return
	}
	server, err := net.DialTimeout("tcp", p.target, 5*time.Second)
	if err != nil {
		reset(client)
		return
	}
	l := newLink(client, server)
	p.mu.Lock()
	p.links[l] = struct{}{}
	p.mu.Unlock()
	var pumps sync.WaitGroup
	pumps.Go(func() { p.pump(l, server, client, FromClient) })
	pumps.Go(func() { p.pump(l, client, server, FromServer) })
	pumps.Wait()
	l.end()
	p.mu.Lock()
	delete(p.links, l)
	p.mu.Unlock()
}

// pump passes the bytes of one direction until a side has ended.
func (p *Proxy) pump(l *link, to, from net.Conn, d Direction) {
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if !p.pass(l, to, buf[:n], d) {
			return
		}
		if err != nil {
			if !l.isDead() {
				l.end()
			}
			return
		}
	}
}

// pass does to the bytes what the weather is; false means that the link has ended.
func (p *Proxy) pass(l *link, to net.Conn, bytes []byte, d Direction) bool {
	w, changed := p.now()
	for w.hold&d != 0 {
		select {
		case <-changed:
		case <-l.ended.Done():
			return false
		}
		w, changed = p.now()
	}
	if w.swallow&d != 0 {
		l.kill(d)
	}
	if len(bytes) == 0 || l.isDead(d) {
		return true
	}
	pause := w.latency
	if w.bandwidth > 0 {
		pause += time.Duration(len(bytes)) * time.Second / time.Duration(w.bandwidth)
	}
	if pause > 0 && !sleep(l.ended, pause) {
		return false
	}
	_, err := to.Write(bytes)
	return err == nil || l.isDead()
}

func sleep(ctx context.Context, pause time.Duration) bool {
	select {
	case <-time.After(pause):
		return true
	case <-ctx.Done():
		return false
	}
}
