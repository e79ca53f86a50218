package rabbitmq

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"

	amqp "github.com/rabbitmq/amqp091-go"

	"mqgateway/internal/flow"
	"mqgateway/internal/mq"
)

const (
	// directReplyTo is the reply-to of requests whose replies come back by the channel
	// that they were published on (https://www.rabbitmq.com/docs/direct-reply-to).
	directReplyTo = "amq.rabbitmq.reply-to"
	// replyPrefix begins the name that the broker puts in its place.
	replyPrefix = directReplyTo + "."
)

// isDirectReply tells that an address looks like one that the broker gave to a
// request. It names a process on a node; a name of any other content, and, with
// RabbitMQ 3, one whose node does not run, is answered with the end of the
// connection. Who sends a request chooses where its reply goes: so such addresses
// are checked before anything is published to them.
func isDirectReply(to flow.Address) bool {
	return to.Exchange == "" && strings.HasPrefix(to.Key, replyPrefix)
}

// process is the id of a process in the external format of Erlang
// (https://www.erlang.org/doc/apps/erts/erl_ext_dist.html#new_pid_ext): its node,
// and three numbers of four bytes.
type process []byte

const processNumbers = 3 * 4

// node is the part that names the node.
func (p process) node() string { return string(p[:len(p)-processNumbers]) }

// nobody is a reply address on the same node that nobody has.
func (p process) nobody() flow.Address {
	none := append([]byte(p.node()), make([]byte, processNumbers)...)
	return flow.Address{Key: replyPrefix + base64.StdEncoding.EncodeToString(none) + ".AA=="}
}

// parseReply reads the key of an address that the broker gave to a request.
func parseReply(key string) (process, error) {
	id, secret, _ := strings.Cut(strings.TrimPrefix(key, replyPrefix), ".")
	raw, err := base64.StdEncoding.DecodeString(secret)
	if err == nil && len(raw) > 0 {
		if raw, err = base64.StdEncoding.DecodeString(id); err == nil && process(raw).valid() {
			return raw, nil
		}
	}
	return nil, flow.Errorf(flow.BadMessage, "%q is no reply address that RabbitMQ makes", key)
}

// valid tells that the node is named by letters, an at sign and a number, as
// nodes are in reply addresses.
func (p process) valid() bool {
	const (
		version, newPid     = 131, 88
		longAtom, shortAtom = 118, 119
	)
	if len(p) < 5+processNumbers || p[0] != version || p[1] != newPid {
		return false
	}
	node, size := p[4:len(p)-processNumbers], int(p[3])
	switch p[2] {
	case longAtom:
		node, size = node[1:], int(binary.BigEndian.Uint16(p[3:]))
	case shortAtom:
	default:
		return false
	}
	name, hash, _ := strings.Cut(string(node), "@")
	_, err := strconv.ParseUint(hash, 10, 32)
	return err == nil && len(node) == size && isLetters(name)
}

func isLetters(text string) bool {
	for _, c := range []byte(text) {
		if (c|0x20) < 'a' || (c|0x20) > 'z' {
			return false
		}
	}
	return text != ""
}

// knowsReply looks the node of a reply address up, and remembers one that runs. One
// that does not is [mq.ErrReturned], a name of another form a bad message; any
// other error means that nobody could tell.
func (s *session) knowsReply(ctx context.Context, key string) error {
	p, err := parseReply(key)
	if err != nil {
		return err
	}
	if _, ok := s.nodes.Load(p.node()); ok {
		return nil
	}
	ctx, cancel := s.broker.patient(ctx)
	defer cancel()
	select {
	case s.probing <- struct{}{}:
		defer func() { <-s.probing }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if _, ok := s.nodes.Load(p.node()); ok {
		return nil
	}
	err = s.broker.tasks.wait(ctx, func() error { return s.broker.probe(s.address, p) })
	switch {
	case err == nil:
		s.nodes.Store(p.node(), true)
		return nil
	case isCode(err, amqp.InternalError):
		return fmt.Errorf("%w: reply address %q is of no node of the broker that runs", mq.ErrReturned, key)
	case errors.Is(err, mq.ErrUnknown): // of the question, not of the reply
		return fmt.Errorf("looking up the node of reply address %q: the broker did not answer", key)
	default:
		return fmt.Errorf("looking up the node of reply address %q: %w", key, err)
	}
}

// probe publishes to nobody on the node of a process, by a connection of its own,
// which may end by that.
func (b *Broker) probe(a address, p process) error {
	s, stop, err := b.connectAside(b.dialing, []address{a})
	if err != nil {
		return err
	}
	defer stop()
	ch, err := s.conn.Channel()
	if err != nil {
		return fmt.Errorf("opening a channel: %w", err)
	}
	w, err := s.newWindow(ch, ch.NotifyClose(make(chan *amqp.Error, 1)), 1)
	if err != nil {
		return err
	}
	return w.publish(context.Background(), p.nobody(), &amqp.Publishing{})
}

// checkRoutingKeys checks what the broker takes for more routing keys of the
// message (https://www.rabbitmq.com/docs/sender-selected).
func checkRoutingKeys(value any) error {
	keys, ok := value.([]any)
	if !ok {
		return errors.New("is not an array of routing keys, which the broker demands")
	}
	for _, key := range keys {
		if name, _ := key.(string); strings.HasPrefix(name, replyPrefix) {
			return fmt.Errorf("holds the reply address %q", clip(name))
		}
	}
	return nil
}
