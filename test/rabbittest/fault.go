package rabbittest

import (
	"fmt"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Stop ends the server in order: it closes connections and saves its state.
func (n *Node) Stop(t TB) {
	t.Helper()
	n.process.signal(syscall.SIGTERM)
	if !n.process.wait(bootLimit) {
		t.Errorf("stopping RabbitMQ: it runs after %s; it printed:\n%s", bootLimit, n.shell.tail())
	}
	n.end()
}

// Kill ends the server at once, as a failure of its machine would. A queue that
// was made in the last seconds may be lost with it, unless SaveQueues was called.
func (n *Node) Kill(TB) { n.end() }

// SaveQueues has the server write down which queues there are, which it does every few
// seconds by itself.
func (n *Node) SaveQueues(t TB) {
	t.Helper()
	n.expect(t, "mnesia:sync_log()", "ok")
}

// Start boots the server again after Stop or Kill, on the same ports, with the
// data it had.
func (n *Node) Start(t TB) {
	t.Helper()
	if err := n.boot(); err != nil {
		t.Fatal(err)
	}
}

// Pause freezes the server: its connections stay, nothing answers. When it
// returns, every thread has stopped.
func (n *Node) Pause(t TB) {
	t.Helper()
	n.process.signal(syscall.SIGSTOP)
	n.process.awaitStopped(t)
}

// Resume lets a frozen server go on.
func (n *Node) Resume(TB) { n.process.signal(syscall.SIGCONT) }

// CloseConnections closes the connections of the virtual host from the server's
// side, as an operator would.
func (v *VHost) CloseConnections(t TB) {
	t.Helper()
	v.Node.closeConnections(t, fmt.Sprintf("rabbit_reader:info(P, [vhost]) =:= [{vhost, <<%s>>}]", erlang(v.Name)))
}

// CloseConnections closes the connections of that name (the client property
// connection_name) from the server's side.
func (n *Node) CloseConnections(t TB, name string) {
	t.Helper()
	n.closeConnections(t, fmt.Sprintf(
		"lists:keymember(<<%s>>, 3, proplists:get_value(client_properties, rabbit_reader:info(P, [client_properties])))", erlang(name)))
}

// closeConnections closes those for which the condition holds. One that ends
// meanwhile, by itself, can't be asked any more.
func (n *Node) closeConnections(t TB, condition string) {
	t.Helper()
	n.expect(t, fmt.Sprintf(
		`[catch rabbit_networking:close_connection(P, "closed by a test") || P <- rabbit_networking:local_connections(), (catch %s) =:= true], ok`,
		condition), "ok")
}

// SetDeadLetterPatience sets how long the server waits for a message that it moved
// at least once to be confirmed, until it tries again: by itself, three minutes. It
// holds for queues that are made from now on, until the server is stopped.
func (n *Node) SetDeadLetterPatience(t TB, patience time.Duration) {
	t.Helper()
	n.expect(t, fmt.Sprintf("application:set_env(rabbit, dead_letter_worker_publisher_confirm_timeout, %d)", patience.Milliseconds()), "ok")
}

// ForgetQueue strikes a classic queue off the server's list and lets its process
// live, as RabbitMQ 4.0 does to one that is deleted while the server takes it for
// down: consumers are not told.
func (v *VHost) ForgetQueue(t TB, queue string) {
	t.Helper()
	v.Node.expect(t, fmt.Sprintf(
		"case rabbit_amqqueue:lookup(rabbit_misc:r(<<%s>>, queue, <<%s>>)) of {ok, Q} -> "+
			"rabbit_classic_queue:delete_crashed_internal(Q, <<\"guest\">>) end", erlang(v.Name), erlang(queue)), "ok")
}

// SetMemoryAlarm makes the server believe that it is short of memory, or no
// longer. When it returns, a connection that publishes is blocked.
func (n *Node) SetMemoryAlarm(t TB, on bool) {
	t.Helper()
	watermark := "0.4"
	if on {
		watermark = "0.000001"
	}
	n.expect(t, "vm_memory_monitor:set_vm_memory_high_watermark("+watermark+")", "ok")
	deadline := time.Now().Add(time.Minute)
	for n.eval(t, "rabbit_alarm:get_alarms() =/= []") != strconv.FormatBool(on) {
		if time.Now().After(deadline) {
			t.Fatalf("the memory alarm does not become %t", on)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// expect evaluates an Erlang expression that has the value want.
func (n *Node) expect(t TB, expression, want string) {
	t.Helper()
	if answer := n.eval(t, expression); answer != want {
		t.Fatalf("evaluating %q: RabbitMQ answers %s", expression, answer)
	}
}

func (n *Node) eval(t TB, expression string) string {
	t.Helper()
	answer, err := n.shell.eval(expression)
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

// erlang writes the inside of a binary: the bytes of the text.
func erlang(text string) string {
	var b strings.Builder
	for i := range len(text) {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(strconv.Itoa(int(text[i])))
	}
	return b.String()
}
