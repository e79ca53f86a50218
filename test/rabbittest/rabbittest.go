// Package rabbittest runs private RabbitMQ servers for tests.
//
// [Shared] is one server for all tests of a process, each in a virtual host of
// its own; [Start] is a server for a test that breaks it. Servers listen on
// free ports of 127.0.0.1, keep their data in a folder of their own, and end
// with the process, however that ends. The server is the one that Debian's
// package rabbitmq-server installs; with RABBITMQ=4 in the environment it is
// RabbitMQ 4 from the folder that make deps RABBITMQ=4 makes, which needs root.
//
// A package that uses it says so in TestMain:
//
//	func TestMain(m *testing.M) { os.Exit(rabbittest.Main(m)) }
package rabbittest

import (
	"fmt"
	"os"
	"sync"
	"testing"
)

// TB is what the package needs of a test; [testing.TB] has it. A program that is no
// test, see [Run], gives something of its own, whose Fatal and Fatalf do not return.
type TB interface {
	Helper()
	Cleanup(func())
	Logf(format string, args ...any)
	Error(args ...any)
	Errorf(format string, args ...any)
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

// process is what the tests of this process share.
var process struct {
	mu sync.Mutex
	// running is true while Main runs the tests.
	running bool
	// home is made by the first node.
	home *home
	// shared is the node of Shared; err is why there is none.
	shared *Node
	err    error
}

// Main runs the tests, ends what they left running, then runs the checks, such
// as that of package leaks. It returns the code for os.Exit.
func Main(m *testing.M, checks ...func() error) int {
	process.running = true
	code := m.Run()
	stopAll()
	for _, check := range checks {
		if code != 0 {
			break
		}
		if err := check(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	return code
}

// stopAll ends the shared node, the name server and the folder of all data.
func stopAll() {
	process.mu.Lock()
	defer process.mu.Unlock()
	process.running = false
	if process.shared != nil {
		process.shared.end()
	}
	if process.home != nil {
		process.home.close()
	}
}

// Shared returns the server of this process and boots it when it is the first
// call. Tests must not stop, pause or starve it.
func Shared(t TB) *Node {
	t.Helper()
	process.mu.Lock()
	defer process.mu.Unlock()
	if process.shared == nil && process.err == nil {
		process.shared, process.err = newNode()
	}
	if process.err != nil {
		t.Fatal(process.err)
	}
	t.Logf("broker: RabbitMQ %s", process.shared.version)
	return process.shared
}

// Start boots a server for one test, which may do anything to it, with additional
// lines in its rabbitmq.conf. It ends with the test. A boot costs some five seconds
// of CPU time, so that tests share nodes where they can.
func Start(t TB, settings ...string) *Node {
	t.Helper()
	process.mu.Lock()
	defer process.mu.Unlock()
	n, err := newNode(settings...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.end)
	t.Logf("broker: RabbitMQ %s", n.version)
	return n
}
