package rabbitmq

import (
	"bytes"
	"errors"
	"io"
	"net"
	"sync"
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

// writeUntilFull writes until an error comes, which ends writers that wait.
func writeUntilFull(s *socket) error {
	chunk := make([]byte, 64<<10)
	for {
		if _, err := s.Write(chunk); err != nil {
			return err
		}
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
