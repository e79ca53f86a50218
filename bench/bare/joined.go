package main

import (
	"net"
	"sync"
	"time"
)

// joinedConn is a connection whose writes are taken by a goroutine, all that came
// during one write in the next one. The client library makes two system calls a
// message otherwise.
type joinedConn struct {
	net.Conn

	mu      sync.Mutex // guards the rest
	work    sync.Cond
	pending []byte
	err     error
}

// dialJoined is for amqp.Config.
func dialJoined(network, address string) (net.Conn, error) {
	conn, err := net.DialTimeout(network, address, 10*time.Second)
	if err != nil {
		return nil, err
	}
	j := &joinedConn{Conn: conn}
	j.work.L = &j.mu
	go j.write()
	return j, nil
}

// Write takes p over.
func (j *joinedConn) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.err != nil {
		return 0, j.err
	}
	j.pending = append(j.pending, p...)
	j.work.Signal()
	return len(p), nil
}

// Close ends the connection at once.
func (j *joinedConn) Close() error {
	j.fail(net.ErrClosed)
	return j.Conn.Close()
}

func (j *joinedConn) fail(err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.err = err
	j.work.Signal()
}

// write writes until the connection fails.
func (j *joinedConn) write() {
	var batch []byte
	for {
		j.mu.Lock()
		for len(j.pending) == 0 && j.err == nil {
			j.work.Wait()
		}
		if j.err != nil {
			j.mu.Unlock()
			return
		}
		batch, j.pending = j.pending, batch[:0]
		j.mu.Unlock()
		if _, err := j.Conn.Write(batch); err != nil {
			j.fail(err)
			return
		}
	}
}
