package grpcsrv

import (
	"fmt"
	"net"
	"sync"
	"time"
)

// drain refuses new calls until those in hand have ended, or the grace is over.
// Clients are asked at once to connect elsewhere; those that come back here, since
// they know no other gateway, are told that this one is stopping.
func (s *Server) drain() {
	close(s.stopping)
	stop, err := s.refuse()
	if err != nil {
		// Clients find nobody listening then, which gRPC calls UNAVAILABLE, too.
		s.options.Log.Debug("calls are refused without a reason", "err", err)
	} else {
		defer stop()
	}
	drained := make(chan struct{})
	go func() {
		s.grpc.GracefulStop()
		close(drained)
	}()
	timer := time.NewTimer(s.options.Grace)
	defer timer.Stop()
	select {
	case <-drained:
	case <-timer.C:
		s.grpc.Stop()
		<-drained
	}
}

// refuse serves the same port by another server, which has no calls in hand: all
// of them come while the gateway is stopping. It goes on until stop is called.
// grpc-go closes the listener of a server that stops gracefully, so that this one
// has a copy, which the system may not allow (Windows).
func (s *Server) refuse() (stop func(), err error) {
	file, err := s.listener.File()
	if err != nil {
		return nil, fmt.Errorf("copying the listener: %w", err)
	}
	defer func() { _ = file.Close() }() // FileListener has its own copy.
	listener, err := net.FileListener(file)
	if err != nil {
		return nil, fmt.Errorf("copying the listener: %w", err)
	}
	refusing := s.newGRPC()
	var serving sync.WaitGroup
	serving.Go(func() { _ = refusing.Serve(listener) }) // It ends by Stop.
	return func() {
		refusing.Stop()
		serving.Wait()
	}, nil
}
