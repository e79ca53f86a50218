package rabbittest

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"sync/atomic"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// VHost is a virtual host that belongs to one test.
type VHost struct {
	Name string
	Node *Node
}

var vhosts atomic.Int64

// VHost makes a virtual host, which is deleted, with its connections, at the end
// of the test.
func (n *Node) VHost(t TB) *VHost {
	t.Helper()
	v := &VHost{Name: "test-" + strconv.FormatInt(vhosts.Add(1), 10), Node: n}
	if err := n.manage(http.MethodPut, "/api/vhosts/"+v.Name, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if n.process == nil {
			return
		}
		if err := n.manage(http.MethodDelete, "/api/vhosts/"+v.Name, ""); err != nil {
			t.Error(err)
		}
	})
	return v
}

// URI is the address of the virtual host for AMQP, with user and password.
func (v *VHost) URI() string { return "amqp://guest:guest@" + v.Node.Address() + "/" + v.Name }

// UserURI makes a user for whom permissions are regular expressions of names that
// may be made, written and read, and returns the address of the virtual host with
// that user. The user is deleted at the end of the test.
func (v *VHost) UserURI(t TB, configure, write, read string) string {
	t.Helper()
	name := "user-of-" + v.Name
	user, permissions := "/api/users/"+name, "/api/permissions/"+v.Name+"/"+name
	err := v.Node.manage(http.MethodPut, user, `{"password":"secret","tags":""}`)
	if err == nil {
		t.Cleanup(func() { _ = v.Node.manage(http.MethodDelete, user, "") })
		err = v.Node.manage(http.MethodPut, permissions, fmt.Sprintf(`{"configure":%q,"write":%q,"read":%q}`, configure, write, read))
	}
	if err != nil {
		t.Fatal(err)
	}
	return "amqp://" + name + ":secret@" + v.Node.Address() + "/" + v.Name
}

// Channel opens a channel on a connection of its own, for what a foreign
// program does in a test. Both are closed at the end of the test.
func (v *VHost) Channel(t TB) *amqp.Channel {
	t.Helper()
	conn, err := amqp.Dial(v.URI())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.CloseDeadline(time.Now().Add(5 * time.Second)) })
	ch, err := conn.Channel()
	if err != nil {
		t.Fatal(err)
	}
	return ch
}

// SetPolicy gives the queues whose names match pattern the policy, a JSON object
// such as {"dead-letter-exchange":""}.
func (v *VHost) SetPolicy(t TB, name, pattern, definition string) {
	t.Helper()
	body := fmt.Sprintf(`{"pattern":%q,"definition":%s,"apply-to":"queues"}`, pattern, definition)
	if err := v.Node.manage(http.MethodPut, "/api/policies/"+v.Name+"/"+url.PathEscape(name), body); err != nil {
		t.Fatal(err)
	}
}

// Messages counts the messages of a queue, those that were delivered and not
// settled among them; -1 is a queue that does not exist.
func (v *VHost) Messages(t TB, queue string) int {
	t.Helper()
	answer := v.Node.eval(t, fmt.Sprintf(countMessages, erlang(v.Name), erlang(queue)))
	count, err := strconv.Atoi(answer)
	if err != nil {
		t.Fatalf("counting the messages of %q: RabbitMQ answers %s", queue, answer)
	}
	return count
}

// countMessages asks a quorum queue itself, too: what the server tells of it
// otherwise is seconds old. One that can't tell is still being made.
const countMessages = `case rabbit_amqqueue:lookup(rabbit_misc:r(<<%s>>, queue, <<%s>>)) of ` +
	`{ok, Q} -> case amqqueue:get_type(Q) of ` +
	`rabbit_quorum_queue -> case ra:local_query(amqqueue:get_pid(Q), fun rabbit_fifo:query_messages_total/1) of ` +
	`{ok, {_, N}, _} -> N; _ -> -1 end; ` +
	`_ -> proplists:get_value(messages, rabbit_amqqueue:info(Q, [messages])) end; ` +
	`_ -> -1 end`

var client = &http.Client{Timeout: time.Minute, Transport: &http.Transport{DisableKeepAlives: true}}

// manage calls the HTTP API of the management plugin.
func (n *Node) manage(method, path, body string) error {
	req, err := http.NewRequest(method, n.ManagementURI()+path, bytes.NewBufferString(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("asking RabbitMQ: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 300 {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 500))
		return fmt.Errorf("asking RabbitMQ for %s %s: %s: %s", method, path, resp.Status, text)
	}
	return nil
}
