package rabbitmq_test

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"mqgateway/internal/flow"
	"mqgateway/internal/mq"
	"mqgateway/internal/mq/rabbitmq"
)

// replyName is a name as the broker makes it for a process on a node.
func replyName(node string, forge ...byte) string {
	term := append([]byte{131, 88, 119, byte(len(node))}, node...)
	term = append(term, 0, 0, 1, 2, 0, 0, 0, 0, 99, 0, 0, 1)
	copy(term, forge)
	return "amq.rabbitmq.reply-to." + base64.StdEncoding.EncodeToString(term) + ".q83vASNFZ4mrze8BI0VniQ=="
}

// Whoever sends a request chooses where the reply goes. Names that the broker did
// not make would cost the connection.
func TestForgedReplyAddresses(t *testing.T) {
	t.Parallel()
	_, b := openShared(t, "q")
	publish(t, b, "q", &flow.Message{})
	shared := b.SharedChannel()
	for name, refused := range map[string]bool{
		"amq.rabbitmq.reply-to.":                  true,
		"amq.rabbitmq.reply-to..":                 true,
		"amq.rabbitmq.reply-to.x":                 true,
		"amq.rabbitmq.reply-to.g1h2AAZ.x==":       true,
		"amq.rabbitmq.reply-to.eA==.eA==":         true,
		strings.TrimSuffix(replyName("r@1"), "="): true,
		replyName("r@1") + ".eA==":                true,
		replyName("rabbit"):                       true,
		replyName("rabbit@host"):                  true,
		replyName("r@-1"):                         true,
		replyName("\xff@1"):                       true,
		replyName("@1"):                           true,
		replyName("reply@1", 131, 104):            true,
		replyName("reply@1", 131, 88, 118):        true,
		replyName("reply@1", 131, 88, 119, 6):     true,
		replyName("reply@1"):                      false,
		replyName("generated@4294967295"):         false,
	} {
		err := b.Publish(within(t), toQueue(name), &flow.Message{})
		if refused && flow.CodeOf(err) != flow.BadMessage {
			t.Errorf("Publish() to %q = %v, want code %d", name, err, flow.BadMessage)
		}
		if !refused && err != nil && !errors.Is(err, mq.ErrReturned) {
			t.Errorf("Publish() to %q = %v, want nil or %v", name, err, mq.ErrReturned)
		}
		if _, err := b.Subscribe(within(t), mq.Queue{Name: name, Prefetch: 1}); !errors.Is(err, mq.ErrNoQueue) {
			t.Errorf("Subscribe() to %q = %v, want %v", name, err, mq.ErrNoQueue)
		}
	}
	if err := b.Publish(within(t), toQueue("amq.rabbitmq.reply-to"), &flow.Message{}); !errors.Is(err, mq.ErrReturned) {
		t.Errorf("Publish() to the name of all inboxes = %v, want %v", err, mq.ErrReturned)
	}
	keepsChannel(t, b, shared)
}

// Processes that are none of ours, or none at all, on a node that runs.
func TestReplyToAnotherProcess(t *testing.T) {
	t.Parallel()
	_, b := openShared(t, "q")
	i := openInbox(t, b)
	if err := i.Publish(within(t), toQueue("q"), &flow.Message{ReplyTo: i.Address()}); err != nil {
		t.Fatal(err)
	}
	name := receive(t, subscribe(t, b, "q", 1)).Message.ReplyTo
	publish(t, b, name, &flow.Message{ID: "reply"})
	shared := b.SharedChannel()
	process, _, _ := strings.Cut(strings.TrimPrefix(name, "amq.rabbitmq.reply-to."), ".")
	term, err := base64.StdEncoding.DecodeString(process)
	if err != nil {
		t.Fatal(err)
	}
	numbers := term[len(term)-12:]
	for _, forged := range []string{
		strings.Repeat("\x00", 12), strings.Repeat("\xff", 12), strings.Repeat("\x7f", 12),
		"\x00\x00\x00\x01\x00\x00\x00\x00" + string(numbers[8:]), string(numbers),
	} {
		copy(numbers, forged)
		another := "amq.rabbitmq.reply-to." + base64.StdEncoding.EncodeToString(term) + ".q83vASNFZ4mrze8BI0VniQ=="
		publish(t, b, another, &flow.Message{ID: "astray"})
	}
	publish(t, b, name, &flow.Message{ID: "another reply"})
	for _, want := range []string{"reply", "another reply"} {
		if m, err := i.Receive(within(t)); err != nil || m.ID != want {
			t.Errorf("Receive() = %+v, %v, want message %q", m, err, want)
		}
	}
	keepsChannel(t, b, shared)
}

func FuzzReplyAddress(f *testing.F) {
	for _, node := range []string{"reply@1", "rabbit@host", "@1"} {
		f.Add(replyName(node))
	}
	f.Fuzz(func(t *testing.T, key string) {
		node, err := rabbitmq.NodeOfReply(key)
		if err != nil {
			if flow.CodeOf(err) != flow.BadMessage {
				t.Errorf("code %d of %q, want %d", flow.CodeOf(err), key, flow.BadMessage)
			}
			return
		}
		if name, number, _ := strings.Cut(node[4:], "@"); !strings.HasPrefix(node, "\x83X") || name == "" || strings.Trim(number, "0123456789") != "" {
			t.Errorf("%q is taken for the address of node %q", key, node)
		}
	})
}
