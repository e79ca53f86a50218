package jetstream

import "time"

// watch keeps the messages in work alive, and notices the end of the connection
// and of the server's signs of life.
func (s *subscription) watch() {
	ticker := time.NewTicker(min(s.ackWait/4, pullHeartbeat))
	defer ticker.Stop()
	for {
		select {
		case now := <-ticker.C:
			s.keepAlive(now)
			if err := s.silence(now); err != nil {
				s.end(err)
			}
		case <-s.session.gone:
			s.lose()
			return
		case <-s.stop:
			return
		}
	}
}

// keepAlive tells the server of messages that it has not heard of for a while.
func (s *subscription) keepAlive(now time.Time) {
	var replies []string
	s.mu.Lock()
	for tag, h := range s.out {
		if now.Sub(h.heard) >= s.ackWait/4 {
			h.heard = now
			s.out[tag] = h
			replies = append(replies, h.reply)
		}
	}
	s.mu.Unlock()
	for _, reply := range replies {
		_ = s.session.nc.Publish(reply, inProgress) // the loss of the connection is noticed elsewhere
	}
}

func (s *subscription) silence(now time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cancelled {
		return nil
	}
	return s.pulls.silent(now)
}
