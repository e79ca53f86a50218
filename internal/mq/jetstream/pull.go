package jetstream

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	// pullExpires is how long the server keeps an unanswered pull.
	pullExpires = time.Minute
	// pullHeartbeat is how often it says that it still has one.
	pullHeartbeat = 10 * time.Second
	// maxWaiting is how many pulls of all readers of a queue it keeps.
	maxWaiting = 10_000
)

// pulls asks the server for messages, so that those on their way and those
// unsettled are never more than prefetch. The jetstream package of nats.go can
// bound only what was not received yet, so this speaks the protocol itself
// (https://docs.nats.io/reference/reference-protocols/nats_api_reference).
// Its owner guards it.
type pulls struct {
	subject, inbox string
	prefetch       int
	requested      int       // asked for, not come, and not refused
	heard          time.Time // when the server, or we, last had a word about it
}

func newPulls(nc *nats.Conn, info *jetstream.ConsumerInfo, prefetch int) pulls {
	return pulls{
		subject:  nextSubject(info),
		inbox:    nc.NewInbox(),
		prefetch: prefetch,
	}
}

// nextSubject is where messages of a consumer are asked for.
func nextSubject(info *jetstream.ConsumerInfo) string {
	return "$JS.API.CONSUMER.MSG.NEXT." + info.Stream + "." + info.Name
}

// next returns the next request, nil when there is nothing to ask for. It waits
// for a quarter of prefetch to be free while the server has a request.
func (p *pulls) next(unsettled int) []byte {
	free := p.prefetch - unsettled - p.requested
	if free <= 0 || p.requested > 0 && free < p.prefetch/4 {
		return nil
	}
	p.requested += free
	p.heard = time.Now()
	return fmt.Appendf(nil, `{"batch":%d,"expires":%d,"idle_heartbeat":%d}`, free, pullExpires, pullHeartbeat)
}

// delivered counts a message that came.
func (p *pulls) delivered() {
	p.requested = max(p.requested-1, 0)
	p.heard = time.Now()
}

// answered takes a status. An error says that no more messages will come.
func (p *pulls) answered(msg *nats.Msg) error {
	p.heard = time.Now()
	const heartbeat, timeout = "100", "408"
	status := msg.Header.Get("Status")
	switch left := msg.Header.Get("Nats-Pending-Messages"); {
	case status == heartbeat:
		return nil
	case status == "503":
		return errors.New("queue was deleted, or has no leader: its consumer does not answer")
	case status == timeout && left != "":
		n, err := strconv.Atoi(left)
		if err != nil {
			return fmt.Errorf("server left %q messages of a pull: %w", left, err)
		}
		p.requested = max(p.requested-n, 0)
		return nil
	default:
		return fmt.Errorf("server ended the subscription: %s %s", status, msg.Header.Get("Description"))
	}
}

// silent is an error when the server forgot a pull, as it may when its consumer
// moves to another server.
func (p *pulls) silent(now time.Time) error {
	if quiet := now.Sub(p.heard); p.requested > 0 && quiet > 3*pullHeartbeat {
		return fmt.Errorf("server gave no sign of life for %v", quiet.Round(time.Second))
	}
	return nil
}
