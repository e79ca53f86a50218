package jetstream

import (
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// NATS is the server inside.
func (s *Server) NATS() *server.Server { return s.nats }

// SetAckWait makes queues that the broker declares from now on give up on a
// silent reader after d.
func (b *Broker) SetAckWait(d time.Duration) { b.ackWait = d }

// SetOverdue makes readers who come from now on remind the server of messages that
// are late by d.
func (b *Broker) SetOverdue(d time.Duration) { b.overdue = d }

// Refused tells that the server complained outside of any answer.
func (b *Broker) Refused() bool {
	s := b.publishing.live()
	return s != nil && s.refusal.Load() != nil
}

// SubjectName tells tests where other clients publish.
func SubjectName(queue string) string { return subjectName(queue) }

// StreamName tells tests what other clients see.
func StreamName(queue string) string { return streamName(queue) }

// LaterSubjects tells tests where messages are held back.
func LaterSubjects(queue string) string { return laterSubjects(queue) }
