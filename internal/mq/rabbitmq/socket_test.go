package rabbitmq

import (
	"bytes"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// pipe makes a socket and its other end, over TCP.
func pipe(t *testing.T, timeout time.Duration) (*socket, net.Conn) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	near, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	far, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	s := newSocket(near, near, timeout)
	var writer sync.WaitGroup
	writer.Go(s.write)
	t.Cleanup(func() {
		s.kill()
		_ = far.Close()
		writer.Wait()
	})
	return s, far
}

func TestSocketKeepsOrder(t *testing.T) {
	s, far := pipe(t, time.Minute)
	var want bytes.Buffer
	for i := range 2000 {
		part := bytes.Repeat([]byte{byte(i)}, i)
		want.Write(part)
	}
	go func() {
		for i := range 2000 {
			part := bytes.Repeat([]byte{byte(i)}, i)
			if _, err := s.Write(part); err != nil {
				t.Error(err)
			}
			clear(part) // the socket must not need it any more
		}
		_ = s.Close()
	}()
	got, err := io.ReadAll(far)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want.Bytes()) {
		t.Errorf("%d bytes arrived in another order or number than %d were written", len(got), want.Len())
	}
	if _, err := s.Write([]byte("x")); err == nil {
		t.Error("writing after Close succeeds")
	}
}

// writeUntilFull writes messages until an error comes, which ends those that wait.
func writeUntilFull(s *socket) error {
	chunk := make([]byte, 64<<10)
	for {
		for full := s.enter(len(chunk)); full != nil; full = s.enter(len(chunk)) {
			<-full
		}
		_, err := s.Write(chunk)
		s.leave(len(chunk))
		if err != nil {
			return err
		}
	}
}

// What waits for the network is bounded, but for what is no message: an
// acknowledgement never waits.
func TestSocketBoundsWhatWaits(t *testing.T) {
	s, _ := pipe(t, time.Hour)
	var waiting atomic.Int64
	for range 16 {
		go func() {
			waiting.Add(1)
			_ = writeUntilFull(s)
		}()
	}
	full := func() bool { return s.enter(0) != nil }
	for deadline := time.Now().Add(30 * time.Second); !full() || waiting.Load() < 16; {
		if time.Now().After(deadline) {
			t.Fatal("writing to nobody goes on for 30s")
		}
		time.Sleep(time.Millisecond)
	}
	if _, err := s.Write([]byte("ack")); err != nil {
		t.Error(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if most := maxPending + 64<<10 + len("ack"); len(s.pending) > most {
		t.Errorf("%d bytes wait, want at most %d", len(s.pending), most)
	}
}

func TestSocketWriteDeadline(t *testing.T) {
	s, _ := pipe(t, 50*time.Millisecond)
	err := writeUntilFull(s)
	if timeout, ok := errors.AsType[net.Error](err); !ok || !timeout.Timeout() {
		t.Errorf("writing to nobody ends with %v, want a timeout", err)
	}
	if _, err := s.Read(make([]byte, 1)); err == nil {
		t.Error("a socket that can't write still reads")
	}
}

// A reader that finds the peer dead frees those who write to it.
func TestSocketReadFailureEndsWriters(t *testing.T) {
	s, _ := pipe(t, time.Hour)
	written := make(chan error, 2)
	for range cap(written) {
		go func() { written <- writeUntilFull(s) }()
	}
	_ = s.SetDeadline(time.Now().Add(50 * time.Millisecond))
	if _, err := s.Read(make([]byte, 1)); err == nil {
		t.Error("reading from nobody succeeds")
	}
	for range cap(written) {
		if err := <-written; err == nil {
			t.Error("writing succeeds")
		}
	}
}
