package rabbitmq

import (
	"net"
	"sync"
	"time"
)

const (
	// maxPending is how many bytes wait for the network before writers do.
	maxPending = 256 << 10
	// maxSpare is the largest buffer that is kept for the next batch.
	maxSpare = 1 << 20
	// lastWriteTimeout bounds the writes of a socket that is closed in order.
	lastWriteTimeout = time.Second
)

// socket is a network connection under the client library. A goroutine of its
// own writes: what many publishers write while a write is under way goes out in
// the next one together, and nobody who holds a lock of the library waits for the
// network unless maxPending is reached. Each write has a deadline, and a socket
// that failed, in either direction, is closed at once: the library would take
// locks first that a stuck writer holds.
type socket struct {
	net.Conn          // with TLS where it is used
	raw      net.Conn // without
	in       *inbound
	timeout  time.Duration

	mu      sync.Mutex // guards the rest
	work    sync.Cond  // there is something to write, or an end
	room    sync.Cond  // pending was taken, or there is an end
	pending []byte
	spare   []byte
	closing bool
	err     error
}

// newSocket takes conn over, which is raw or TLS on top of it. The caller runs write.
func newSocket(conn, raw net.Conn, timeout time.Duration) *socket {
	s := &socket{Conn: conn, raw: raw, in: newInbound(conn), timeout: timeout}
	s.work.L, s.room.L = &s.mu, &s.mu
	return s
}

// Write takes p over to be written soon. It blocks while too much is waiting.
func (s *socket) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.pending) >= maxPending && s.err == nil {
		s.room.Wait()
	}
	if s.err != nil {
		return 0, s.err
	}
	if s.closing {
		return 0, net.ErrClosed
	}
	s.pending = append(s.pending, p...)
	s.work.Signal()
	return len(p), nil
}

// Read closes the socket when it fails, which ends writes that are stuck.
func (s *socket) Read(p []byte) (int, error) {
	n, err := s.in.Read(p)
	if err != nil {
		s.fail(err)
	}
	return n, err
}

// SetDeadline sets the deadline of reads: those of writes are the socket's own.
func (s *socket) SetDeadline(t time.Time) error { return s.SetReadDeadline(t) }

// Close ends the socket once what was written is on its way. It does not wait.
func (s *socket) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closing = true
	s.work.Signal()
	return nil
}

// kill ends the socket at once.
func (s *socket) kill() { s.fail(net.ErrClosed) }

func (s *socket) fail(err error) {
	s.mu.Lock()
	if s.err == nil {
		s.err = err
	}
	s.work.Signal()
	s.room.Broadcast()
	s.mu.Unlock()
	_ = s.raw.Close()
}

// write writes until the socket ends.
func (s *socket) write() {
	for {
		batch, last := s.take()
		if batch == nil {
			_ = s.Conn.Close()
			s.kill()
			return
		}
		timeout := s.timeout
		if last {
			timeout = lastWriteTimeout
		}
		_ = s.SetWriteDeadline(time.Now().Add(timeout))
		if _, err := s.Conn.Write(batch); err != nil {
			s.fail(err)
			return
		}
		s.giveBack(batch)
	}
}

// take waits for something to write; nil is the end.
func (s *socket) take() (batch []byte, last bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.pending) == 0 && !s.closing && s.err == nil {
		s.work.Wait()
	}
	if s.err != nil || len(s.pending) == 0 {
		return nil, true
	}
	batch, s.pending, s.spare = s.pending, s.spare[:0], nil
	s.room.Broadcast()
	return batch, s.closing
}

func (s *socket) giveBack(batch []byte) {
	if cap(batch) > maxSpare {
		return
	}
	s.mu.Lock()
	s.spare = batch
	s.mu.Unlock()
}
