package rabbittest

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"mqgateway/test/ports"
)

// bootLimit bounds a boot, which takes three seconds on an idle machine.
const bootLimit = 2 * time.Minute

// Node is one RabbitMQ server. Its user is guest, with that password.
type Node struct {
	home           *home
	dir, name      string
	port, httpPort int
	distPort       int
	version        string

	// process and shell belong to the server while it runs; process is nil when
	// it was stopped.
	process *child
	shell   *shell
}

// newNode boots a server with additional lines in its rabbitmq.conf. The caller holds
// the mutex of the process.
func newNode(settings ...string) (*Node, error) {
	h, err := openHome()
	if err != nil {
		return nil, err
	}
	n := &Node{home: h, port: ports.Free(), httpPort: ports.Free(), distPort: ports.Free()}
	if n.dir, n.name, err = h.nextDir(); err != nil {
		return nil, fmt.Errorf("making the folder of a RabbitMQ node: %w", err)
	}
	if err := n.configure(settings); err != nil {
		return nil, fmt.Errorf("configuring a RabbitMQ node: %w", err)
	}
	if err := n.boot(); err != nil {
		return nil, err
	}
	if n.version, err = n.shell.eval("rabbit_misc:version()"); err != nil {
		n.end()
		return nil, err
	}
	n.version = strings.Trim(n.version, `"`)
	return n, nil
}

// configure writes the files that the server reads.
func (n *Node) configure(settings []string) error {
	conf := fmt.Sprintf(`listeners.tcp.1 = %s
management.tcp.ip = 127.0.0.1
management.tcp.port = %d
log.file.level = warning
handshake_timeout = 60000
%s
`, loopback(n.port), n.httpPort, strings.Join(settings, "\n"))
	return errors.Join(
		os.WriteFile(filepath.Join(n.dir, "rabbitmq.conf"), []byte(conf), 0o644),
		os.WriteFile(filepath.Join(n.dir, "enabled_plugins"), []byte("[rabbitmq_management].\n"), 0o644),
	)
}

// environment sets everything that would otherwise be shared with other servers
// of the machine (https://www.rabbitmq.com/docs/configure#supported-environment-variables).
func (n *Node) environment() []string {
	at := n.home.install.path(n.dir)
	return []string{
		"PATH=" + os.Getenv("PATH"),
		"LANG=C.UTF-8",
		"TERM=dumb",
		"HOME=" + at,
		"ERL_EPMD_ADDRESS=127.0.0.1",
		"ERL_EPMD_PORT=" + strconv.Itoa(n.home.epmdPort),
		"RABBITMQ_NODENAME=" + n.name + "@localhost",
		"RABBITMQ_DIST_PORT=" + strconv.Itoa(n.distPort),
		"RABBITMQ_MNESIA_BASE=" + at + "/data",
		"RABBITMQ_LOG_BASE=" + at + "/log",
		"RABBITMQ_CONFIG_FILE=" + at + "/rabbitmq.conf",
		"RABBITMQ_CONF_ENV_FILE=" + at + "/none",
		"RABBITMQ_ENABLED_PLUGINS_FILE=" + at + "/enabled_plugins",
		// The server keeps its Erlang shell on standard input, and its process is
		// the one that was started.
		"RABBITMQ_ALLOW_INPUT=true",
		"RABBITMQ_SCHEDULER_BIND_TYPE=u",
		// Quorum queues look every five seconds otherwise whether they have expired.
		"RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=-kernel inet_dist_use_interface {127,0,0,1} -rabbit quorum_tick_interval 500",
	}
}

// boot starts the server and waits until it runs: it takes connections some time
// before it holds itself for running, and treats its queues as lost until then.
func (n *Node) boot() error {
	cmd := n.home.install.command(n.dir, server)
	cmd.Env = n.environment()
	cmd.Dir = n.dir
	sh, err := newShell(cmd)
	if err != nil {
		return fmt.Errorf("connecting to the shell of RabbitMQ: %w", err)
	}
	process, err := startChild(cmd)
	if err != nil {
		return fmt.Errorf("starting RabbitMQ: %w", err)
	}
	for _, port := range []int{n.httpPort, n.port} {
		if err := awaitPort(process, port); err != nil {
			process.kill()
			return fmt.Errorf("starting RabbitMQ: %w; it printed:\n%s", err, sh.tail())
		}
	}
	if err := sh.awaitRunning(); err != nil {
		process.kill()
		return fmt.Errorf("starting RabbitMQ: %w", err)
	}
	n.process, n.shell = process, sh
	return nil
}

// Version is the version of the server, such as 3.10.8.
func (n *Node) Version() string { return n.version }

// Address is host and port of AMQP.
func (n *Node) Address() string { return loopback(n.port) }

// ManagementURI is the address of the management plugin, with user and password.
func (n *Node) ManagementURI() string { return "http://guest:guest@" + loopback(n.httpPort) }

// Log is what the server has logged so far: warnings and errors.
func (n *Node) Log(t TB) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(n.dir, "log", n.name+"@localhost.log"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return string(text)
}

// end ends the process, when there is one.
func (n *Node) end() {
	if n.process == nil {
		return
	}
	n.process.kill()
	n.process, n.shell = nil, nil
}
