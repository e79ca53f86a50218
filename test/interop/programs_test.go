package interop

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"mqgateway/test/gatewaytest"
	"mqgateway/test/rabbittest"
)

// examples is where the files are that users copy.
const examples = "../../examples/interoperability/"

// needs fails the test when a file of an installed program is missing.
func needs(t *testing.T, files ...string) {
	t.Helper()
	for _, file := range files {
		if _, err := os.Stat(file); err != nil {
			t.Fatalf("a program is not installed, run %q: %v", "make deps", err)
		}
	}
}

// run runs a program to its end and returns what it printed. The error says
// what it complained about.
func run(t *testing.T, stdin, name string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	cmd.Stdin = strings.NewReader(stdin)
	var out, complaints bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaints
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("running %s: %w: %s", filepath.Base(name), err, complaints.String())
	}
	return out.String(), nil
}

// python runs an example by Debian's own Python, with nothing of the environment.
func python(t *testing.T, stdin, script string, args ...string) (string, error) {
	t.Helper()
	const interpreter, packages = "/usr/bin/python3", "/usr/lib/python3/dist-packages/"
	needs(t, interpreter, packages+"pika", packages+"grpc", packages+"google/protobuf")
	return run(t, stdin, interpreter, append([]string{"-I", examples + script}, args...)...)
}

// queues declares durable queues on a virtual host.
func queues(t *testing.T, vhost *rabbittest.VHost, names ...string) {
	t.Helper()
	channel := vhost.Channel(t)
	for _, name := range names {
		if _, err := channel.QueueDeclare(name, true, false, false, false, nil); err != nil {
			t.Fatal(err)
		}
	}
}

// publish puts a message on queue IN by pika and returns its id.
func publish(t *testing.T, vhost *rabbittest.VHost, body string, headers ...string) (id string) {
	t.Helper()
	out, err := python(t, body, "publish.py", append([]string{vhost.URI(), "IN"}, headers...)...)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(out)
}

// received is a message as pika sees it.
type received struct {
	ID          string            `json:"message_id"`
	Correlation string            `json:"correlation_id"`
	ReplyTo     string            `json:"reply_to"`
	Type        string            `json:"type"`
	ContentType string            `json:"content_type"`
	Expiration  string            `json:"expiration"`
	Priority    int               `json:"priority"`
	Mode        int               `json:"delivery_mode"`
	Headers     map[string]string `json:"headers"`
	Body        string            `json:"body"`
}

// receive takes a message from a queue by pika.
func receive(t *testing.T, vhost *rabbittest.VHost, queue string) received {
	t.Helper()
	waitExists(t, vhost, queue)
	out, err := python(t, "", "receive.py", vhost.URI(), queue)
	if err != nil {
		t.Fatal(err)
	}
	var m received
	if err := json.Unmarshal([]byte(out), &m); err != nil {
		t.Fatalf("receive.py printed %q: %v", out, err)
	}
	return m
}

// waitExists waits until a queue is there, such as one of dead letters.
func waitExists(t *testing.T, vhost *rabbittest.VHost, queue string) {
	t.Helper()
	gatewaytest.Eventually(t, func() error {
		if vhost.Messages(t, queue) < 0 {
			return fmt.Errorf("no queue %q", queue)
		}
		return nil
	})
}

// grpcurl is where grpcurl is, at the version of tools/go.mod; Go builds it when
// its cache does not have it.
func grpcurl(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("go", "tool", "-n", "-modfile=../../tools/go.mod", "grpcurl").Output()
	if err != nil {
		t.Fatalf("building grpcurl of tools/go.mod: %v", err)
	}
	return strings.TrimSpace(string(out))
}
