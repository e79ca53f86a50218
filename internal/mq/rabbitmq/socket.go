package rabbitmq

import (
	"net"
	"slices"
	"sync"
	"time"
)

const (
	// maxPending is how many bytes wait for the network before messages wait for them.
	maxPending = 256 << 10
	// maxSpare is the largest buffer that is kept for the next batch.
	maxSpare = 4 << 20
	// lastWriteTimeout bounds the writes of a socket that is closed in order.
	lastWriteTimeout = time.Second
)

// socket is a network connection under the client library. A goroutine of its
// own writes: what many publishers write while a write is under way goes out in
// the next one together, and nobody who holds a lock of the library ever waits for
// the network: messages are let in before, see enter. Each write has a deadline, and
// a socket that failed, in either direction, is closed at once.
type socket struct {
	net.Conn          // with TLS where it is used
	raw      net.Conn // without
	in       *inbound
	timeout  time.Duration

	mu      sync.Mutex // guards the rest
	work    sync.Cond  // there is something to write, or an end
	pending []byte
	spare   []byte
	// entered is the size of the messages that were let in and are not all pending yet;
	// room, when somebody waits for it, is closed when there may be some for another one.
	entered int
	room    chan struct{}
	closing bool
	err     error
}

// newSocket takes conn over, which is raw or TLS on top of it. The caller runs write.
func newSocket(conn, raw net.Conn, timeout time.Duration) *socket {
	s := &socket{Conn: conn, raw: raw, in: newInbound(conn), timeout: timeout}
	s.work.L = &s.mu
	return s
}

// enter lets a message of that size in, which leave has to be told of when it is
// written. While too much is waiting, it returns a channel that is closed when it is
// time to try again.
func (s *socket) enter(size int) (full <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.hasRoom() {
		s.entered += size
		return nil
	}
	if s.room == nil {
		s.room = make(chan struct{})
	}
	return s.room
}

// leave tells that a message of that size, which was let in, is written.
func (s *socket) leave(size int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.entered -= size
	s.call()
}

// hasRoom tells whether a message may be let in; after a failure it need not wait for
// its own. The caller holds mu.
func (s *socket) hasRoom() bool { return s.err != nil || len(s.pending)+s.entered < maxPending }

// call wakes who waits for room when there is some: all of them, each time, would fight
// for the lock. The caller holds mu.
func (s *socket) call() {
	if s.room != nil && s.hasRoom() {
		close(s.room)
		s.room = nil
	}
}

// Write takes p over to be written soon.
func (s *socket) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
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
	s.call()
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
		if err := s.send(batch, timeout); err != nil {
			s.fail(err)
			return
		}
		s.giveBack(batch)
	}
}

// send writes a batch in parts, each within the timeout.
func (s *socket) send(batch []byte, timeout time.Duration) error {
	for part := range slices.Chunk(batch, maxPending) {
		_ = s.SetWriteDeadline(time.Now().Add(timeout))
		if _, err := s.Conn.Write(part); err != nil {
			return err
		}
	}
	return nil
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
	s.call()
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
