package jetstream

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// defaultOverdue is how late a message that was held back may come, before its
// readers remind the server of it, and how often they look.
const defaultOverdue = time.Minute

// remind looks after what is held back for the queue. A server that is short of
// storage when a message is due does not try again before its next start
// (MsgScheduling.inflight of nats-server 2.15).
func (s *subscription) remind(ctx context.Context) {
	ticker := time.NewTicker(s.broker.overdue)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			s.broker.reschedule(ctx, s.session, s.queue)
		case <-ctx.Done():
			return
		}
	}
}

// reschedule publishes schedules of the queue again that are overdue, as they are. It
// ends at the first one that is not: what is behind that was published later, and
// has its turn when it is the first. What fails is left for the next time.
func (b *Broker) reschedule(ctx context.Context, s *session, queue string) {
	ctx, cancel := context.WithTimeout(ctx, b.timeout)
	defer cancel()
	stream, err := s.js.Stream(ctx, streamName(queue))
	if err != nil {
		return
	}
	info := stream.CachedInfo()
	limit := info.TimeStamp.Add(-b.overdue)
	for seq := uint64(1); ; {
		schedule, err := stream.GetMsg(ctx, seq, jetstream.WithGetMsgSubject(laterSubjects(queue)))
		if err != nil || schedule.Sequence > info.State.LastSeq || !dueBefore(limit, schedule) {
			return
		}
		if err := b.send(ctx, s, again(schedule)); err != nil {
			return
		}
		seq = schedule.Sequence + 1
	}
}

// dueBefore tells that the message of a schedule should have come before that time.
func dueBefore(limit time.Time, schedule *jetstream.RawStreamMsg) bool {
	at, ok := strings.CutPrefix(schedule.Header.Get(scheduleHeader), "@at ")
	due, err := time.Parse(scheduleTime, at)
	return ok && err == nil && due.Before(limit)
}

// again is the schedule as it was published, to be taken only if its message has not
// come meanwhile.
func again(schedule *jetstream.RawStreamMsg) *nats.Msg {
	msg := &nats.Msg{Subject: schedule.Subject, Header: schedule.Header, Data: schedule.Data}
	msg.Header.Del(jetstream.MsgRollup)
	msg.Header.Set(jetstream.ExpectedLastSubjSeqHeader, strconv.FormatUint(schedule.Sequence, 10))
	return msg
}
