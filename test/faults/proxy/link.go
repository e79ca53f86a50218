package proxy

import (
	"context"
	"net"
	"sync"
)

// link is one connection through the proxy.
type link struct {
	client, server net.Conn
	ended          context.Context // done when both sides are closed
	end            func()

	mu   sync.Mutex // guards dead
	dead Direction  // bytes of these directions were lost: none may follow them
}

func newLink(client, server net.Conn) *link {
	l := &link{client: client, server: server}
	ctx, cancel := context.WithCancel(context.Background())
	l.ended = ctx
	l.end = func() {
		cancel()
		_ = client.Close()
		_ = server.Close()
	}
	return l
}

// kill makes a direction lose all bytes from now on.
func (l *link) kill(d Direction) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.dead |= d
}

// isDead tells that one of these directions lost bytes; none asks for any.
func (l *link) isDead(d ...Direction) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(d) == 0 {
		return l.dead != 0
	}
	return l.dead&d[0] != 0
}

// reset ends both sides with RST.
func (l *link) reset() {
	reset(l.client)
	reset(l.server)
	l.end()
}

// reset closes a connection so that its peer gets RST instead of FIN.
func reset(conn net.Conn) {
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}
